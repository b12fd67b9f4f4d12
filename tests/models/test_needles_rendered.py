"""Prompts with a needle: as long as asked for, the needle once and in its place, the question at the end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from toy_tokenizer import BLANKS, LETTERS, LINES, Toy, toy_renderer

from qwencoder_eval import config
from qwencoder_eval.datasets.haystacks import chosen_haystack, read
from qwencoder_eval.errors import DatasetError, InputError, UsageError
from qwencoder_eval.models import needles
from qwencoder_eval.models.base import Request
from qwencoder_eval.models.engine import Open
from qwencoder_eval.models.needles import Laid, Tokenizer, with_needle
from qwencoder_eval.models.openai import OpenAIModel, ServerOptions
from qwencoder_eval.models.profiles import named
from qwencoder_eval.models.rendering import Rendered
from qwencoder_eval.types import Haystack, Needle, Problem, Sampling

PIN = Haystack("pinned", "0" * 64, "needle/pinned")
TEXT = "def marzipan(x):\n    return x + 611\n"
ASK = "# once more\ndef marzipan(x):\n"
PATTERNS = {"lines": LINES, "blanks": BLANKS, "letters": LETTERS}


def asked(tokens: int, depth: float = 0.5, form: Any = "plain", haystack: Haystack = PIN) -> Needle:
    return Needle(haystack, TEXT, depth, tokens, form, ASK, "once_more.py")


def tokenizer_of(toy: Toy) -> Tokenizer:
    def encode(split: bool) -> Any:
        return lambda text: toy(text, False, False, split)["input_ids"]

    return Tokenizer(encode(True), encode(False), toy.decode)


line = st.builds(lambda blanks, words: " " * blanks + words, st.integers(0, 9), st.text("ab=# (<|é", max_size=12))
texts = st.lists(line, max_size=20).map("\n".join)
files = st.lists(st.tuples(st.just("a/b.py"), texts), min_size=1, max_size=6)


@given(files, st.sampled_from(sorted(PATTERNS)), st.floats(0, 1), st.floats(0, 1), st.sampled_from(["", "<|im_end|>"]))
def test_any_prompt_is_as_asked_for(
    found: list[tuple[str, str]], pattern: str, depth: float, share: float, special: str
) -> None:
    toy = Toy(PATTERNS[pattern])
    tokenizer = tokenizer_of(toy)
    found = [(path, f"{special}{text}") for path, text in found]
    whole = "".join(f"# {path}\n{text}\n" for path, text in found)
    before, behind = tokenizer.special("<|endoftext|>"), tokenizer.special(f"\n{ASK}")
    laid = Laid(iter(found), needles.PLAIN, tokenizer)
    most = laid.upto(10**9)
    ends = len(before) + len(behind) + len(tokenizer.plain(f"\n{TEXT}\n"))
    room = laid.first + 1 + round(share * (most - laid.first - 1))
    prompt = asked(ends + room, depth)
    tokens = with_needle(prompt, laid, before, behind, tokenizer)
    again = with_needle(prompt, Laid(iter(found), needles.PLAIN, tokenizer), before, behind, tokenizer)
    assert tokens == again
    assert len(tokens) == prompt.tokens
    text = toy.decode(tokens)
    assert text.startswith("<|endoftext|>")
    assert text.endswith(f"\n{ASK}")
    code = text.removeprefix("<|endoftext|>").removesuffix(f"\n{ASK}")
    assert code.count(TEXT) == 1
    first, last = code.split(f"\n{TEXT}\n")
    assert first.endswith("\n")
    assert whole.startswith(first + last)
    # In its place: no line begins between there and where it should be, but in the same token.
    wanted = len(toy.decode(laid.tokens[: max(laid.first, round(depth * room))]))
    lowest, highest = sorted((len(first), wanted))
    token = max(len(one) for one in toy.texts)
    assert "\n" not in whole[lowest + token : max(0, highest - token)]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A haystack of 40 files, which the user has named."""
    root = tmp_path / "code"
    (root / "inner").mkdir(parents=True)
    for at in range(40):
        text = "".join(f"    value_{at}_{line} = '<|endoftext|>'\n" for line in range(30))
        (root / ("inner" if at % 2 else ".") / f"f{at:02}.py").write_text(f"def f{at}():\n{text}")
    monkeypatch.setenv("QCEVAL_HAYSTACK", str(root))
    return root


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("form", ["plain", "repository", "chat"])
@pytest.mark.parametrize("begin", [False, True])
def test_forms(folder: Path, tmp_path: Path, pattern: str, form: Any, begin: bool) -> None:
    toy = Toy(PATTERNS[pattern], begin, chat=True)
    renderer = toy_renderer(tmp_path / "model", toy, "chat" if form == "chat" else "base", "qwen2.5-coder")
    haystack = chosen_haystack(PIN)
    for depth in (0.0, 0.3, 1.0):
        for tokens in (2000, 1000, 1500):
            prompt = asked(tokens, depth, form, haystack)
            renderer.check(prompt)
            rendered = renderer.render(prompt)
            assert len(rendered.tokens) == tokens
            assert toy.decode(rendered.tokens) == rendered.text
            assert rendered.text.count(TEXT) == 1
    last = renderer.render(asked(2000, 0.0, form, haystack))
    title = "<|file_sep|>{}\n" if form == "repository" else "# {}\n"
    head = {"plain": "", "repository": "<|repo_name|>code\n", "chat": "<|im_start|>user\n"}[form]
    assert last.text.removeprefix("<|endoftext|>").startswith(f"{head}{title.format('f00.py')}\n{TEXT}\ndef f0():\n")
    tail = {"chat": f"\n{ASK}<|im_end|>\n<|im_start|>assistant\n"}.get(form, f"\n{title.format('once_more.py')}{ASK}")
    assert last.text.endswith(tail)
    # Files name a special token; none of them is one.
    assert list(last.tokens).count(toy.ids["<|endoftext|>"]) == (begin and form != "chat")
    assert ("<|file_sep|>" in {toy.texts[one] for one in last.stop_tokens}) == (form == "repository")


def test_each_file_is_tokenized_once(folder: Path, tmp_path: Path) -> None:
    toy = Toy(LINES)
    renderer = toy_renderer(tmp_path / "model", toy)
    haystack = chosen_haystack(PIN)
    for depth in range(10):
        for tokens in (1000, 4000, 8000, 2000):
            renderer.render(asked(tokens, depth / 9, "plain", haystack))
    starts = [text for text in toy.calls if "def f" in text]
    assert 2 < len(starts) == len(set(starts))


def test_files_are_read_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "code"
    (root / "a").mkdir(parents=True)
    for name, content in {"a.py": b"1\r\n", "a/x.py": b"\xff\xe9\n", "B.py": b"", "a/y.txt": b"no"}.items():
        (root / name).write_bytes(content)
    (root / "link.py").symlink_to(root / "a.py")
    monkeypatch.setenv("QCEVAL_HAYSTACK", str(root))
    haystack = chosen_haystack(PIN)
    assert haystack.name == "code"
    assert list(read(haystack)) == [("B.py", ""), ("a.py", "1\r\n"), ("a/x.py", "\ufffd\ufffd\n")]
    assert chosen_haystack(Haystack("other", haystack.sha256, "p")) == Haystack("other", haystack.sha256, "p")
    (root / "a.py").rename(root / "c.py")
    root.rename(tmp_path / "moved")
    monkeypatch.setenv("QCEVAL_HAYSTACK", str(tmp_path / "moved"))
    assert chosen_haystack(PIN).sha256 != haystack.sha256


def test_what_is_not_there_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("QCEVAL_HAYSTACK", raising=False)
    data = tmp_path / "data"
    data.mkdir()
    monkeypatch.setenv("QCEVAL_DATA", str(data))
    assert chosen_haystack(PIN) == PIN
    with pytest.raises(DatasetError, match=r"^needle/pinned: not found in .*; or name another .* with --haystack DIR$"):
        next(read(PIN))
    place = data / "needle" / "pinned"
    place.mkdir(parents=True)
    with pytest.raises(DatasetError, match=r"no Python files there; name another folder with --haystack$"):
        next(read(PIN))
    monkeypatch.setenv("QCEVAL_DATA", str(tmp_path / "other"))
    place = tmp_path / "other" / "needle" / "pinned"
    place.mkdir(parents=True)
    (place / "a.py").write_text("x\n")
    said = r"its Python files hash to [0-9a-f]{64}, the pin says 0{64}; put pinned there as it is pinned, or name"
    with pytest.raises(DatasetError, match=said) as caught:
        next(read(PIN))
    assert "\n" not in str(caught.value)


def test_a_haystack_that_is_too_short_is_refused(folder: Path, tmp_path: Path) -> None:
    renderer = toy_renderer(tmp_path / "model", Toy(LINES))
    said = (
        r"^the haystack code ends after \d+ of 10000000 tokens of this model's; name a larger one with --haystack DIR"
    )
    with pytest.raises(UsageError, match=said):
        renderer.render(asked(10_000_000, haystack=chosen_haystack(PIN)))
    with pytest.raises(UsageError, match=r"^a prompt of 40 tokens has no room for code: .*; choose a longer grid$"):
        renderer.render(asked(40, haystack=chosen_haystack(PIN)))
    assert len(renderer.render(asked(500, haystack=chosen_haystack(PIN))).tokens) == 500


def test_a_family_without_a_format_for_repositories_is_asked_otherwise(tmp_path: Path) -> None:
    base = toy_renderer(tmp_path / "model", Toy(LINES), "base", "generic")
    with pytest.raises(UsageError, match="asks for the files of a repository, and the profile generic has no format"):
        base.check(asked(500, form="repository"))
    base.check(asked(500))
    with pytest.raises(UsageError, match="asks for a chat, and this is a base model"):
        base.check(asked(500, form="chat"))
    chat = toy_renderer(tmp_path / "model", Toy(LINES, chat=True), "chat", "generic")
    with pytest.raises(UsageError, match="asks for a text to continue, and this is a chat model"):
        chat.check(asked(500))


def test_a_server_needs_the_tokenizer() -> None:
    model = OpenAIModel("m", ServerOptions("http://127.0.0.1:1/v1"), named("generic"), "x")
    for form in ("plain", "chat"):
        with pytest.raises(UsageError, match="are as many tokens as it says; name the model's --tokenizer"):
            model.rendered(asked(500, form=form))


def test_with_the_tokenizer_a_server_is_sent_tokens(folder: Path, tmp_path: Path) -> None:
    renderer = toy_renderer(tmp_path / "model", Toy(LINES, chat=True), "chat", "qwen2.5-coder")
    server = ServerOptions("http://127.0.0.1:1/v1")
    model = OpenAIModel("m", server, renderer.profile, "x", renderer.kind, renderer)
    prompt = asked(500, form="chat", haystack=chosen_haystack(PIN))
    ((endpoint, body),) = model.bodies(prompt)
    assert endpoint == "completions"
    assert body["prompt"] == list(renderer.render(prompt).tokens)
    assert model.rendered(prompt)["prompt"] == body["prompt"]


def test_the_folder_is_a_setting_too(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("QCEVAL_HAYSTACK")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "qceval.toml").write_text('haystack = "code"\n')
    config.settings.cache_clear()
    assert chosen_haystack(PIN).name == "code"
    (tmp_path / "qceval.toml").write_text('haystack = "gone"\n')
    config.settings.cache_clear()
    with pytest.raises(InputError, match=r"^qceval.toml: haystack: gone is not a folder; name one with Python files$"):
        chosen_haystack(PIN)


def test_a_prompt_beyond_the_context_is_an_outcome() -> None:
    request = Request("needle", Problem("p", {}, {}), asked(500), Sampling(), (0,))
    job = Open(request, Rendered(tuple(range(500)), ""))
    assert job.tokens_needed() == 501
    assert [answer.completion.finish_reason for answer in job.too_long() if answer.completion] == ["prompt_too_long"]
