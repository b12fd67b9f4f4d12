"""Queries out of answers: Qwen's rules with every quirk."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwencoder_eval.extraction.programs import MAX_CODE
from qwencoder_eval.extraction.sql import (
    Completion,
    Problem,
    answered_query,
    continued_query,
    tagged_query,
    whole_query,
)

PROBLEM = Problem("p/0", {}, {}, stub="SELECT ")
ALL = (whole_query, continued_query, answered_query, tagged_query)
PIECES = ["SELECT", "[SQL]", "[/SQL]", "```", "```sql ", ";", "\n", "</s>", " ", "a", "Question:"]
TEXT = st.lists(st.sampled_from(PIECES)).map("".join)


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("a FROM t", "SELECT a FROM t"),
        (" a\nFROM\n\nt", "SELECT  a FROM  t"),
        ("a FROM t; SELECT b", "SELECT a FROM t SELECT b"),  # a semicolon vanishes before stops are looked for
        ("a FROM t</s>b", "SELECT a FROM tb"),  # and so does this one
        ("a FROM t<pad>b", "SELECT a FROM t"),
        ("a FROM t<|endoftext|>b", "SELECT a FROM t"),
        ("a FROM t\n\nQuestion: b", "SELECT a FROM t  "),
        ("a Answer: b Question: c", "SELECT a "),
        ("'Quest;ion:'", "SELECT '"),  # what vanishes makes a stop
        ("SELECT a", "SELECT SELECT a"),
        ("", None),
        (" \n;", None),
        ("Question: more", None),
    ],
)
def test_what_goes_on_behind_select(text: str, query: str | None) -> None:
    assert continued_query(PROBLEM, Completion(text)) == query


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("SELECT a FROM t", "SELECT a FROM t"),
        ("Sure: SELECT a\nFROM t; and more SELECT b", "SELECT a FROM t"),
        ("```sql\nSELECT a FROM t\n```", "SELECT a FROM t "),
        ("```\nSELECT a FROM t\n```\nHope it helps", "SELECT a FROM t  Hope it helps"),  # unlike ;, a fence is no end
        ("```sql\nWITH x AS (SELECT 1) SELECT * FROM x;\n```", "SELECT 1) SELECT * FROM x"),
        ("Use SELECT to read: SELECT a", "SELECT to read: SELECT a"),
        ("select a from t", "t"),  # no SELECT: the last character is left
        ("I cannot answer that.", "."),
        ("It has; no SELECT", "s"),
        ("SELECT a<|im_end|>b", "SELECT a"),
        ("SELECT a</s>b", "SELECT a"),
        ("", None),
        (" \n ", None),
        ("; SELECT a", None),
        ("```", None),
    ],
)
def test_an_answer_from_its_first_select(text: str, query: str | None) -> None:
    assert answered_query(PROBLEM, Completion(text)) == query


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("Let me think. [SQL]SELECT a\nFROM t[/SQL] Done.", "SELECT a FROM t"),
        ("[SQL]SELECT a[/SQL] no: [SQL]SELECT b[/SQL]", "SELECT b"),  # the last one
        ("[SQL] SELECT a", "SELECT a"),
        ("SELECT a[/SQL] and [/SQL]", "SELECT a"),
        ("[SQL]```sql\nSELECT a;\n```[/SQL]", "SELECT a"),
        ("First, this; then [SQL]SELECT a[/SQL]", "First, this"),  # a semicolon ends the thought, too
        ("select a", "select a"),
        ("[SQL][/SQL]", None),
        ("[SQL] ``` [/SQL]", ""),
        ("", None),
    ],
)
def test_between_the_last_tags(text: str, query: str | None) -> None:
    assert tagged_query(PROBLEM, Completion(text)) == (query or None)


@pytest.mark.parametrize("text", ["SELECT a;", " SELECT a; \n", "with x as (select 1) select * from x"])
def test_a_recorded_query_is_taken_as_it_is(text: str) -> None:
    assert whole_query(PROBLEM, Completion(text, "whole")) == text.strip()
    assert continued_query(PROBLEM, Completion(text, "whole")) == text.strip()


def test_a_reference_is_a_query_under_every_rule() -> None:
    reference = Completion("count(*) FROM t", finish_reason="reference")
    for extract in (continued_query, answered_query, tagged_query):
        assert extract(PROBLEM, reference) == "SELECT count(*) FROM t"


@pytest.mark.parametrize("extract", ALL)
def test_no_answer_is_too_long_or_too_odd(extract: object) -> None:
    assert callable(extract)
    assert extract(PROBLEM, Completion("SELECT " + "a" * MAX_CODE)) is None
    for piece in ("SELECT ", "[SQL]", "[/SQL]", "```sql ", "`", "\n", "\0", "\ud800", "</s", "Question"):
        began = time.process_time()
        extract(PROBLEM, Completion(piece * (MAX_CODE // len(piece))))
        assert time.process_time() - began < 1


@given(TEXT)
def test_what_comes_out_is_one_line_without_semicolons(text: str) -> None:
    for extract in (continued_query, answered_query, tagged_query):
        query = extract(PROBLEM, Completion(text))
        assert query is None or (query and "\n" not in query and ";" not in query)
