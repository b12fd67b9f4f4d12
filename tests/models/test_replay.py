"""Recorded outputs as a model: the formats, what is refused and where, and that a file is never held whole."""

from __future__ import annotations

import gzip
import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from qwencoder_eval.errors import InputError
from qwencoder_eval.models import replay
from qwencoder_eval.models.base import Request
from qwencoder_eval.models.replay import ReplayModel
from qwencoder_eval.types import Completion, Continue, Problem, Sample, Sampling


def problems(*names: str) -> list[Problem]:
    return [Problem(name, {}, {}) for name in names]


def jsonl(*rows: Any) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def replayed(path: Path, names: tuple[str, ...]) -> tuple[int, list[Sample]]:
    """n, and all the samples that a run asks for."""
    model = ReplayModel(path)
    n = model.scan(problems(*names))
    asked = [Request("bench", p, Continue(""), Sampling(n=n), tuple(range(n))) for p in problems(*names)]
    return n, [Sample(a.problem, a.number, a.completion) for a in model.generate(asked) if a.completion]


def refusal(path: Path, content: bytes, *names: str) -> str:
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        replayed(path, names or ("a", "b"))
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2
    return str(caught.value)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "my-model.jsonl"


def recorded_as(text: str, form: Any = "continuation") -> Completion:
    return Completion(text, form, "recorded")


# ---------------------------------------------------------------- formats


def test_evalplus_continuations_and_whole_programs(file: Path) -> None:
    file.write_bytes(
        jsonl(
            {"task_id": "b", "completion": "    return 2\n", "_identifier": "b_0"},
            {"task_id": "a", "solution": "def a(): ...\n", "completion": "ignored, as EvalPlus does"},
        )
    )
    assert replayed(file, ("a", "b")) == (
        1,
        [Sample("a", 0, recorded_as("def a(): ...\n", "whole")), Sample("b", 0, recorded_as("    return 2\n"))],
    )


def test_our_own_rows_keep_their_number_and_form(file: Path) -> None:
    file.write_bytes(
        jsonl(
            {"problem": "a", "sample": 1, "text": "second", "form": "whole", "finish_reason": "stop"},
            {"problem": "a", "sample": 0, "text": "first", "form": "continuation", "tokens": 3},
        )
    )
    second, first = Sample("a", 1, recorded_as("second", "whole")), Sample("a", 0, recorded_as("first"))
    assert replayed(file, ("a",)) == (2, [first, second])


def test_our_own_rows_may_leave_out_number_and_form(file: Path) -> None:
    file.write_bytes(jsonl({"problem": "a", "text": "x"}, {"problem": "a", "text": "y"}))
    assert replayed(file, ("a",))[1] == [Sample("a", 0, recorded_as("x")), Sample("a", 1, recorded_as("y"))]


def test_several_samples_are_numbered_as_they_come(file: Path) -> None:
    rows = [{"task_id": name, "completion": f"{name}{i}"} for i in range(3) for name in ("a", "b")]
    file.write_bytes(jsonl(*rows))
    n, samples = replayed(file, ("a", "b"))
    assert n == 3
    assert samples == [Sample(name, i, recorded_as(f"{name}{i}")) for name in ("a", "b") for i in range(3)]


def test_a_compressed_file_is_the_same_file(file: Path, tmp_path: Path) -> None:
    content = jsonl({"task_id": "a", "completion": "x"}, {"task_id": "b", "completion": "y"})
    file.write_bytes(content)
    packed = tmp_path / "my-model.jsonl.gz"
    packed.write_bytes(gzip.compress(content))
    assert replayed(packed, ("a", "b")) == replayed(file, ("a", "b"))
    models = ReplayModel(file), ReplayModel(packed)
    for model in models:
        model.scan(problems("a", "b"))
        assert model.name == "my-model"
    assert models[0].key() == models[1].key()


def test_the_key_changes_with_the_content_and_not_with_the_place(file: Path, tmp_path: Path) -> None:
    keys = []
    for place, text in ((file, "x"), (tmp_path / "other.jsonl", "x"), (file, "y")):
        place.write_bytes(jsonl({"task_id": "a", "completion": text}))
        model = ReplayModel(place)
        model.scan(problems("a"))
        keys.append(model.key())
    assert keys[0] == keys[1] != keys[2]
    assert ReplayModel(file, name="org/m").name == "org/m"


@pytest.mark.parametrize("newline", [b"\n", b"\r\n"])
def test_blank_lines_are_ignored_but_counted(file: Path, newline: bytes) -> None:
    rows = [json.dumps({"task_id": name, "completion": "x"}).encode() for name in "ab"]
    file.write_bytes(newline + rows[0] + newline + b"  \t" + newline + rows[1])  # no newline at the end
    assert [sample.problem for sample in replayed(file, ("a", "b"))[1]] == ["a", "b"]
    assert refusal(file, newline * 4 + b"{" + newline).startswith(f"{file}:5: not JSON")


def test_only_what_was_asked_for_is_answered(file: Path) -> None:
    file.write_bytes(jsonl(*({"task_id": n, "completion": f"{n}{i}"} for n in "abc" for i in range(3))))
    model = ReplayModel(file)
    model.scan(problems(*"abc"))
    first, _, third = problems(*"abc")
    asked = [
        Request("bench", first, Continue(""), Sampling(), (2,)),
        Request("bench", third, Continue(""), Sampling(), (0, 1)),
    ]
    assert [(s.problem, s.number, s.completion and s.completion.text) for s in model.generate(iter(asked))] == [
        ("a", 2, "a2"),
        ("c", 0, "c0"),
        ("c", 1, "c1"),
    ]
    assert list(model.generate([])) == []


def test_scanning_again_gives_the_same(file: Path) -> None:
    file.write_bytes(jsonl({"task_id": "a", "completion": "x"}))
    model = ReplayModel(file)
    assert [model.scan(problems("a")) for _ in range(2)] == [1, 1]


@pytest.mark.slow
def test_a_file_may_hold_more_than_fits_into_memory(file: Path) -> None:
    """50,000 samples, 30 MB: what stays of each is its address."""
    names = [f"task/{i}" for i in range(5_000)]
    padding = "x" * 550
    with file.open("w") as out:
        for i in range(50_000):
            out.write(f'{{"task_id": "task/{i % 5_000}", "completion": "{i} {padding}"}}\n')
    assert file.stat().st_size > 29e6
    model = ReplayModel(file)
    known = problems(*names)
    tracemalloc.start()
    try:
        assert model.scan(known) == 10
        scanned = tracemalloc.get_traced_memory()[1]
        tracemalloc.reset_peak()
        asked = (Request("bench", p, Continue(""), Sampling(), (3,)) for p in known)
        assert sum(sample.number == 3 for sample in model.generate(asked)) == 5_000
        generated = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert scanned < 15e6
    assert generated < 12e6


# ---------------------------------------------------------------- refusals


GOOD = {"task_id": "a", "completion": "x"}
OURS = {"problem": "a", "sample": 0, "text": "x", "form": "whole"}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"{'task_id': 'a'}", "not JSON"),
        (b'{"task_id": "a", "completion": "x"} {}', "not JSON"),
        (b'{"task_id": "a", "completion": "x', "not JSON"),
        (b"[" * 200_000, "not JSON"),
        (b"\x00\xff\xfe\x80", "not UTF-8 text"),
        (b'{"task_id": "a", "completion": "\xe9"}', "not UTF-8 text"),
        (b'["a", "x"]', "not a JSON object"),
        (b'"a"', "not a JSON object"),
        (b"null", "not a JSON object"),
        (b'{"completion": "x"}', "has no task_id"),
        (b'{"task_id": 3, "completion": "x"}', "has no task_id"),
        (b'{"task_id": ["a"], "completion": "x"}', "has no task_id"),
        (b'{"task_id": "a"}', "has neither completion nor solution"),
        (b'{"task_id": "a", "completion": ["x", "y"]}', "completion is not a string; for several samples"),
        (b'{"task_id": "a", "completion": null}', "completion is not a string"),
        (b'{"task_id": "a", "solution": 1, "completion": "x"}', "solution is not a string"),
        (jsonl({**OURS, "text": {}}), "text is not a string"),
        (jsonl({**OURS, "form": "half"}), "form is 'half'; use continuation or whole"),
        (jsonl({**OURS, "form": []}), "form is []; use continuation or whole"),
        (jsonl({**OURS, "sample": -1}), "sample is -1; number samples from 0"),
        (jsonl({**OURS, "sample": "0"}), "sample is '0'; number samples from 0"),
        (jsonl({**OURS, "sample": 1.0}), "sample is 1.0; number samples from 0"),
        (jsonl({**OURS, "sample": None}), "sample is None; number samples from 0"),
        (jsonl({**OURS, "sample": True}), "sample is True; number samples from 0"),
        (b'{"task_id": "nope/1", "completion": "x"}', "task 'nope/1' is not in the benchmark"),
        (b'{"task_id": "", "completion": "x"}', "task '' is not in the benchmark"),
    ],
)
@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gz"])
def test_a_bad_line_is_named(file: Path, line: bytes, said: str, packed: bool) -> None:
    content = jsonl({"task_id": "b", "completion": ""}) + line.rstrip(b"\n") + b"\n"
    place = file.with_suffix(".jsonl.gz") if packed else file
    assert refusal(place, gzip.compress(content) if packed else content).startswith(f"{place}:2: {said}")


def test_a_sample_a_second_time_is_refused(file: Path) -> None:
    other = {**OURS, "text": "y"}
    assert refusal(file, jsonl(OURS, other), "a").startswith(f"{file}:2: sample 0 of a a second time")
    mixed = refusal(file, jsonl(GOOD, {**OURS, "problem": "b"}, OURS))
    assert mixed.startswith(f"{file}:3: sample 0 of a a second time")


@pytest.mark.parametrize("numbers", [(1, 2), (0, 2), (7, 0)])
def test_numbers_that_leave_a_gap_are_refused(file: Path, numbers: tuple[int, ...]) -> None:
    """Samples that no run asks for would be lost, and those that it asks for never come."""
    message = refusal(file, jsonl(*({**OURS, "sample": number} for number in numbers)), "a")
    assert message.startswith(f"{file}:{numbers.index(max(numbers)) + 1}: sample is {max(numbers)}")


def test_uneven_counts_are_refused(file: Path) -> None:
    b = {"task_id": "b", "completion": "y"}
    said = ": b has 2 samples, others 1; give every task the same number"
    assert refusal(file, jsonl(b, GOOD, b)) == f"{file}:3{said}"


def test_tasks_without_a_sample_are_refused(file: Path) -> None:
    message = refusal(file, jsonl(GOOD), *"abcdef")
    assert message == (
        f"{file}: 5 of 6 tasks have no sample (b, c, d, ...); add them, an empty completion counts as an answer"
    )
    assert "1 of 2 tasks have no sample (b);" in refusal(file, jsonl(GOOD), "a", "b")
    assert "2 of 2 tasks have no sample (a, b);" in refusal(file, b"", "a", "b")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    for path in (tmp_path / "none.jsonl", tmp_path / "none.jsonl.gz"):
        with pytest.raises(InputError) as caught:
            ReplayModel(path).scan(problems("a"))
        assert str(caught.value) == f"{path}: No such file or directory; give a file of samples with --samples"
    with pytest.raises(InputError, match=f"^{tmp_path}: Is a directory"):
        ReplayModel(tmp_path).scan(problems("a"))


def damaged(content: bytes, how: str) -> bytes:
    packed = gzip.compress(content)
    if how == "truncated":
        return packed[: len(packed) // 2]
    if how == "checksum":
        return packed[:-8] + bytes(4) + packed[-4:]
    if how == "no gzip":
        return content
    return packed[:20] + b"\xff" * 20 + packed[40:]


@pytest.mark.parametrize("how", ["truncated", "checksum", "no gzip", "stream"])
def test_a_damaged_compressed_file_is_refused(tmp_path: Path, how: str) -> None:
    path = tmp_path / "x.jsonl.gz"
    content = damaged(jsonl(*({"task_id": "a", "completion": str(i**9)} for i in range(99))), how)
    assert refusal(path, content, "a").startswith(f"{path}: cannot be read (")


def test_a_line_without_end_is_refused(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay, "MAX_LINE", 1 << 20)
    longest = jsonl({"task_id": "a", "completion": "x" * ((1 << 20) - 35)})
    assert len(longest) == 1 << 20
    file.write_bytes(longest)
    assert replayed(file, ("a",))[0] == 1
    assert refusal(file, longest[:-1] + b" \n", "a") == f"{file}:1: longer than 1 MiB; remove the line"


# ---------------------------------------------------------------- any text


def as_json_has_it(text: str) -> str:
    """A lone high surrogate before a lone low one is, in JSON's escapes, the character that they make."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


@given(texts=st.lists(st.text(st.characters()), min_size=1, max_size=6), packed=st.booleans())
@example(texts=["\ud800", "\udc00", "\ud83d\ude00", "\u2028\x85\x0b\x1c", "\x00\r\n\r\n", "\ufeff"], packed=False)
def test_any_text_comes_back(tmp_path_factory: pytest.TempPathFactory, texts: list[str], packed: bool) -> None:
    content = jsonl(*({"task_id": "a", "completion": text} for text in texts))
    path = tmp_path_factory.getbasetemp() / ("any.jsonl.gz" if packed else "any.jsonl")
    path.write_bytes(gzip.compress(content) if packed else content)
    n, samples = replayed(path, ("a",))
    assert n == len(texts)
    assert [s.completion.text for s in samples] == [as_json_has_it(text) for text in texts]


@given(texts=st.lists(st.text(), min_size=1, max_size=6))
@example(texts=["\u2028", "\x85", "\x0b\x0c\x1c\x1d\x1e\r", "\x7f\ufeff"])
def test_any_text_comes_back_without_escapes(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> None:
    path = tmp_path_factory.getbasetemp() / "unescaped.jsonl"
    rows = [json.dumps({"task_id": "a", "solution": text}, ensure_ascii=False) + "\n" for text in texts]
    path.write_bytes("".join(rows).encode())
    assert [s.completion.text for s in replayed(path, ("a",))[1]] == texts


@given(content=st.binary(max_size=60))
@example(content=b"\xef\xbb\xbf{}")
@example(content=b'{"task_id": "a", "completion": 1e999}')
@example(content=b'{"task_id": "a", "completion": ' + b"9" * 5000 + b"}")
def test_any_bytes_are_refused_in_one_line(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "bytes.jsonl"
    assert refusal(path, content, "a").startswith(f"{path}:")


# ---------------------------------------------------------------- the real thing


def test_qwens_recorded_outputs(recorded: Path) -> None:
    path = recorded / "qwen2.5-coder-1.5b-base" / "evalplus" / "humaneval" / "generated.jsonl"
    names = tuple(f"HumanEval/{i}" for i in range(164))
    n, samples = replayed(path, names)
    assert n == 1
    assert sorted(sample.problem for sample in samples) == sorted(names)


# ---------------------------------------------------------------- other versions of the dataset


def test_tasks_of_another_version_are_left_out_and_counted(file: Path) -> None:
    rows = [{"task_id": name, "completion": name} for name in ("a", "old", "b", "older")]
    file.write_bytes(jsonl(*rows, *rows))
    model, asked = ReplayModel(file), list[int]()

    def other_versions() -> set[str]:
        asked.append(1)
        return {"a", "old", "older"}

    assert model.scan(problems("a", "b"), other_versions) == 2
    assert model.left_out == {"old", "older"}
    assert asked == [1]
    requests = [Request("bench", p, Continue(""), Sampling(n=2), (0, 1)) for p in problems("a", "b")]
    assert [(sample.problem, sample.number) for sample in model.generate(requests)] == [
        ("a", 0), ("a", 1), ("b", 0), ("b", 1),
    ]  # fmt: skip


def test_tasks_of_no_version_are_still_refused(file: Path) -> None:
    file.write_bytes(jsonl({"task_id": "a", "completion": ""}, {"task_id": "b/typo", "completion": ""}))
    with pytest.raises(InputError, match="'b/typo' is not in the benchmark"):
        ReplayModel(file).scan(problems("a"), lambda: {"old"})


def test_samples_come_in_the_order_that_is_asked_for(file: Path) -> None:
    file.write_bytes(jsonl(*({"task_id": name, "completion": name} for name in "abcd")))
    model = ReplayModel(file)
    model.scan(problems(*"abcd"))
    requests = [Request("bench", p, Continue(""), Sampling(), (0,)) for p in problems(*"cadb")]
    assert [sample.problem for sample in model.generate(requests)] == list("cadb")
    packed = file.with_name("my-model.jsonl.gz")
    packed.write_bytes(gzip.compress(file.read_bytes()))
    model = ReplayModel(packed)
    model.scan(problems(*"abcd"))
    assert sorted(sample.problem for sample in model.generate(requests)) == list("abcd")


def test_a_file_that_changes_meanwhile_is_refused(file: Path) -> None:
    file.write_bytes(jsonl(*({"task_id": name, "completion": name} for name in "ab")))
    model = ReplayModel(file)
    model.scan(problems(*"ab"))
    file.write_bytes(b"\n" * 200)
    with pytest.raises(InputError, match="changed while it was read; run again"):
        list(model.generate([Request("bench", p, Continue(""), Sampling(), (0,)) for p in problems("b")]))


# ---------------------------------------------------------------- one document


@pytest.mark.parametrize("name", ["answers.json", "answers.json.gz"])
@pytest.mark.parametrize("indent", [None, 4])
def test_a_document_of_answers(tmp_path: Path, name: str, indent: int | None) -> None:
    data = json.dumps({"s/0": ["1", "asked 2"], "s/1": ["x\n", ""]}, indent=indent).encode()
    (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    n, found = replayed(tmp_path / name, ("s/0", "s/1"))
    assert n == 2
    assert {(s.problem, s.number): s.completion.text for s in found} == {
        ("s/0", 0): "1", ("s/0", 1): "asked 2", ("s/1", 0): "x\n", ("s/1", 1): "",
    }  # fmt: skip
    assert {sample.completion.form for sample in found} == {"whole"}


def test_a_prompt_before_an_answer_is_cut(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps({"s/0": ["What is it? An answer"], "s/1": ["No prompt"]}))
    model = ReplayModel(tmp_path / "a.json")
    assert model.scan(problems("s/0", "s/1")) == 1
    asked = [Request("b", p, Continue("What is it? "), Sampling(), (0,)) for p in problems("s/0", "s/1")]
    assert [a.completion and a.completion.text for a in model.generate(asked)] == ["An answer", "No prompt"]


def test_documents_of_other_answers_have_other_digests(tmp_path: Path) -> None:
    digests = set()
    for number, texts in enumerate((["a", "b"], ["ab", ""], ["a", "c"])):
        (tmp_path / f"{number}.json").write_text(json.dumps({"s/0": texts}))
        model = ReplayModel(tmp_path / f"{number}.json")
        model.scan(problems("s/0"))
        digests.add(model.digest)
    assert len(digests) == 3


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{"s/0": ["1"', "cannot be read"),
        (b'{"s/0": ["1"], "s/1": "2"}', "has no list of answers"),
        (b'{"s/0": [1]}', "has no list of answers"),
        (b'{"s/0": ["1"], "t/0": ["1"]}', "task 't/0' is not in the benchmark"),
        (b'{"s/0": []}', "1 of 1 tasks have no sample"),
    ],
)
def test_a_document_that_is_wrong(tmp_path: Path, content: bytes, said: str) -> None:
    assert said in refusal(tmp_path / "a.json", content, "s/0")


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz"])
def test_a_program_that_holds_its_prompt_stays_whole(tmp_path: Path, name: str) -> None:
    """Lines of programs are taken as they are: only in a document of answers a prompt is something else."""
    data = jsonl({"task_id": "p", "generation": "def f():\n    return 1"})
    (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    model = ReplayModel(tmp_path / name)
    assert model.scan(problems("p")) == 1
    asked = [Request("b", problems("p")[0], Continue("def f():\n"), Sampling(), (0,))]
    assert [a.completion and a.completion.text for a in model.generate(asked)] == ["def f():\n    return 1"]


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz"])
def test_rows_that_begin_with_a_list_are_no_document(tmp_path: Path, name: str) -> None:
    data = jsonl(*({"stop": ["x"], "task_id": problem, "generation": "y"} for problem in ("p", "q")))
    (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    n, found = replayed(tmp_path / name, ("p", "q"))
    assert (n, [sample.completion.text for sample in found]) == (1, ["y", "y"])
