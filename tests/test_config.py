"""Settings: the environment over qceval.toml over the defaults, and what is refused in one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from qwencoder_eval import config
from qwencoder_eval.errors import InputError


@pytest.fixture(autouse=True)
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, and none of the settings of whoever runs the tests."""
    for name in ("QCEVAL_DATA", "QCEVAL_CACHE", "QCEVAL_RESULTS"):
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def test_the_environment_comes_before_the_file(work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("env", "toml"):
        (tmp_path / name).mkdir()
    (work / "qceval.toml").write_text(
        f'data = "{tmp_path}/toml"\ncache = "{tmp_path}/toml-cache"\nresults = "toml-results"\n'
    )
    assert config.data_folder() == tmp_path / "toml"
    assert config.cache_folder() == tmp_path / "toml-cache"
    assert config.results_folder() == Path("toml-results")
    monkeypatch.setenv("QCEVAL_DATA", str(tmp_path / "env"))
    monkeypatch.setenv("QCEVAL_CACHE", str(tmp_path / "env-cache"))
    monkeypatch.setenv("QCEVAL_RESULTS", "env-results")
    assert config.data_folder() == tmp_path / "env"
    assert config.cache_folder() == tmp_path / "env-cache"
    assert config.results_folder() == Path("env-results")


def test_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setattr(config, "PACKAGE", tmp_path / "checkout" / "qwencoder_eval")
    assert config.cache_folder() == tmp_path / "xdg" / "qceval"
    assert config.results_folder() == Path("results")
    assert config.data_folder() is None
    (tmp_path / "shared" / "data").mkdir(parents=True)
    assert config.data_folder() == tmp_path / "shared" / "data"


def test_a_home_folder_is_expanded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("QCEVAL_DATA", "~")
    monkeypatch.setenv("QCEVAL_CACHE", "~/c")
    monkeypatch.setenv("QCEVAL_RESULTS", "~/r")
    folders = config.data_folder(), config.cache_folder(), config.results_folder()
    assert folders == (tmp_path, tmp_path / "c", tmp_path / "r")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"data = ", "qceval.toml: not TOML"),
        (b'data = "\xff"', "qceval.toml: not TOML"),
        (b'datas = "/tmp"', "qceval.toml: unknown key 'datas'; known: data, cache, results"),
        (b'[data]\npath = "/tmp"', "is not a folder"),
        (b'data = "nowhere"', "nowhere is not a folder"),
    ],
)
def test_a_bad_file_is_refused_in_one_line(work: Path, content: bytes, said: str) -> None:
    (work / "qceval.toml").write_bytes(content)
    with pytest.raises(InputError) as caught:
        config.data_folder()
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


def test_a_folder_that_is_none_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "file"
    file.write_text("")
    for path in (file, tmp_path / "missing"):
        monkeypatch.setenv("QCEVAL_DATA", str(path))
        with pytest.raises(InputError, match=f"^QCEVAL_DATA: {path} is not a folder; correct it or remove it$"):
            config.data_folder()


def test_what_a_checkout_brings_is_found() -> None:
    assert (config.bundled("benchmarks") / "starter.py").is_file()
    assert (config.bundled("sandbox") / "languages.toml").is_file()


def test_in_a_wheel_it_lies_inside_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "PACKAGE", tmp_path / "qwencoder_eval")
    assert config.bundled("sandbox") == tmp_path / "sandbox"
    inside = tmp_path / "qwencoder_eval" / "_bundled" / "sandbox"
    inside.mkdir(parents=True)
    assert config.bundled("sandbox") == inside
