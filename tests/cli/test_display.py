"""The live line, as a log has it."""

from __future__ import annotations

import pytest

from qwencoder_eval.cli import display


def test_a_log_is_told_now_and_then_and_what_is_left_is_by_the_speed_of_reading(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = [0.0]
    monkeypatch.setattr(display.time, "monotonic", lambda: now[0])
    progress = display.SearchDisplay()
    progress.tick(1)  # before it is known how much there is
    progress.plan(1_000_000_000, 0)
    for at, read in [(100, 10), (101, 10), (110, 80), (140, 300), (150, 100), (230, 500)]:
        now[0] = at
        progress.tick(read * 1_000_000)
    progress.close()
    assert capsys.readouterr().err.splitlines() == [
        "searched 10 of 1,000 MB",  # the 100 seconds before were no reading
        "searched 400 of 1,000 MB, about 0:01:01 left",
        "searched 1,000 of 1,000 MB",
    ]
