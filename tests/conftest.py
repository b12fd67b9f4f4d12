"""What all tests share: folders of their own instead of the user's, and the data that may lie beside the checkout."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from qwencoder_eval import config

settings.register_profile("repeatable", derandomize=True, deadline=None, database=None)
settings.load_profile("repeatable")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # tests that were started in the background of a shell
    signal.signal(signal.SIGINT, signal.default_int_handler)

BESIDE = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def session_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache per worker: what reference solutions answered is computed once for all its tests."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def _own_folders(
    session_cache: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    monkeypatch.setenv("QCEVAL_CACHE", str(session_cache))
    monkeypatch.setenv("QCEVAL_RESULTS", str(tmp_path_factory.getbasetemp() / "results"))
    monkeypatch.delenv("QCEVAL_PLUGINS", raising=False)
    config.settings.cache_clear()
    yield
    config.settings.cache_clear()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of benchmark data: $QCEVAL_DATA, or ``../shared/data`` beside the checkout."""
    named = os.environ.get("QCEVAL_DATA")
    path = Path(named).expanduser() if named else BESIDE / "data"
    if not path.is_dir():
        pytest.skip(f"no benchmark data: {path} is not there and QCEVAL_DATA names no other folder")
    return path


@pytest.fixture(scope="session")
def recorded() -> Path:
    """Recorded outputs of real models with their published verdicts: ``../shared/recorded``."""
    path = BESIDE / "recorded"
    if not path.is_dir():
        pytest.skip(f"no recorded outputs: {path} is not there")
    return path


def container_tests(config: pytest.Config) -> tuple[int, int]:
    """How many tests in containers ran, and how many were skipped. A skipped module has no keywords."""
    stats = config.pluginmanager.get_plugin("terminalreporter").stats  # type: ignore[union-attr]

    def counted(*outcomes: str) -> int:
        found = [report for outcome in outcomes for report in stats.get(outcome, [])]
        return len({report.nodeid for report in found if "docker" in getattr(report, "keywords", ())})

    return counted("passed", "failed"), counted("skipped")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    ran, skipped = container_tests(terminalreporter.config)
    terminalreporter.write_line(f"container tests: {ran} ran, {skipped} skipped")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """With QCEVAL_REQUIRE_DOCKER a run without a single container test is a failure, however green."""
    controller = not hasattr(session.config, "workerinput")
    if controller and os.environ.get("QCEVAL_REQUIRE_DOCKER") and container_tests(session.config)[0] == 0:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
