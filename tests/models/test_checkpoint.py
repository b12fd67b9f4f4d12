"""A model's folder: named by what is in it, and refused in one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from qwencoder_eval.errors import InputError, QcevalError
from qwencoder_eval.models.checkpoint import PIECE, PIECES, Checkpoint, checkpoint


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "model"
    made.mkdir()
    (made / "config.json").write_text(json.dumps({"model_type": "qwen2", "eos_token_id": [3, 5]}))
    (made / "tokenizer.json").write_text("{}")
    (made / "model.safetensors").write_bytes(bytes(range(256)) * (PIECE * PIECES * 2 // 256))
    return made


def test_the_revision_is_the_weights(folder: Path) -> None:
    first = Checkpoint(folder).revision
    assert Checkpoint(folder).revision == first
    weights = folder / "model.safetensors"
    content = bytearray(weights.read_bytes())
    for place in (0, len(content) - 1, (len(content) - PIECE) // 3):  # first, last, and in a piece between
        changed = bytearray(content)
        changed[place] ^= 1
        weights.write_bytes(changed)
        assert Checkpoint(folder).revision != first
    weights.write_bytes(content)
    assert Checkpoint(folder).revision == first
    (folder / "config.json").write_text("{}")
    assert Checkpoint(folder).revision != first


def test_the_tokenizer_is_more_than_its_vocabulary(folder: Path) -> None:
    first, revision = Checkpoint(folder).tokenizer, Checkpoint(folder).revision
    (folder / "chat_template.jinja").write_text("{{ messages }}")
    assert Checkpoint(folder).tokenizer != first
    assert Checkpoint(folder).revision == revision
    (folder / "chat_template.jinja").unlink()
    (folder / "README.md").write_text("of no matter")
    assert Checkpoint(folder).tokenizer == first


def test_a_snapshot_is_named_by_its_commit(tmp_path: Path) -> None:
    commit = "0123456789abcdef0123456789abcdef01234567"
    assert Checkpoint(tmp_path / "snapshots" / commit).revision == commit


def test_end_tokens_of_both_files(folder: Path) -> None:
    assert Checkpoint(folder).end_tokens() == {3, 5}
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": 7}))
    assert Checkpoint(folder).end_tokens() == {3, 5, 7}


@pytest.mark.parametrize("content", ["{", "[]", "\x00", "[" * 100_000])
def test_a_broken_config_is_one_line(folder: Path, content: str) -> None:
    (folder / "config.json").write_text(content)
    with pytest.raises(InputError, match=r"config\.json: not (JSON|a JSON object).*; get the model again$") as caught:
        Checkpoint(folder).config  # noqa: B018
    assert "\n" not in str(caught.value)


def test_a_folder_without_config(folder: Path) -> None:
    (folder / "config.json").unlink()
    with pytest.raises(InputError, match=r"config\.json: No such file or directory; a model's folder holds"):
        Checkpoint(folder).config  # noqa: B018


@pytest.mark.parametrize("name", ["/no/such/folder", "./none", "~/none", "none", "a/b/c", "a b/c"])
def test_what_is_no_folder_and_no_name(name: str) -> None:
    with pytest.raises(InputError, match=r"no such folder; give a model's folder, or its hub name as OWNER/NAME$"):
        checkpoint(name)


def test_a_file_is_no_model(folder: Path) -> None:
    with pytest.raises(InputError, match="a file; give the folder"):
        checkpoint(str(folder / "config.json"))


def test_a_hub_name_without_hub_is_one_line() -> None:
    with pytest.raises(QcevalError, match=r"^--model nobody/nothing: ") as caught:
        checkpoint("nobody/nothing", offline=True)
    assert "\n" not in str(caught.value)
