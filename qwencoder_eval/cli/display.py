"""The one live line of a run or of a search, on standard error: a bar on a terminal, a line now and then in a log."""

from __future__ import annotations

import io
import sys
import threading
import time
from typing import Any

from ..stream.evaluate import Progress
from ..types import Completion
from .options import say

LOG_EVERY_S = 30.0


class Display(Progress):
    """Samples scored and how many of them passed, tokens a second, and the time left."""

    def __init__(self, title: str, scored: bool = True) -> None:
        self.title, self.scoring = title, scored
        self.bar: Any = None
        self.phase = ""
        self.made = self.tokens = self.judged = self.passed = 0
        self.began = self.said = time.monotonic()
        self._mutex = threading.Lock()

    def references(self, done: int, total: int) -> None:
        """While the model works already, its own numbers are what is shown."""
        with self._mutex:
            if self.phase in ("", "references"):
                if self.phase == "":
                    self._open("references", total, 0)
                self.bar.total = total
                self._move(done - self.bar.n)

    def start(self, samples: int, generated: int, scored: int) -> None:
        with self._mutex:
            self.made, self.began = generated, time.monotonic()
            self._open("scored" if self.scoring else "generated", samples, scored if self.scoring else generated)

    def generated(self, completion: Completion) -> None:
        with self._mutex:
            self.made += 1
            self.tokens += completion.tokens or 0
            self._move(int(not self.scoring))

    def scored(self, passed: bool) -> None:
        with self._mutex:
            self.judged += 1
            self.passed += passed
            self._move(1)

    def figures(self) -> str:
        found = []
        if self.tokens:
            found.append(f"{self.tokens / max(time.monotonic() - self.began, 1e-9):,.0f} tokens/s")
        if self.scoring and self.made > self.bar.n:
            found.append(f"{self.made} generated")
        if self.judged:
            found.append(f"{100 * self.passed / self.judged:.1f} % pass so far")
        return ", ".join(found)

    def close(self) -> None:
        with self._mutex:
            if self.bar is not None:
                self.bar.close()
                self.bar = None
                self.phase = "closed"

    def _open(self, phase: str, total: int, done: int) -> None:
        if self.bar is not None:
            self.bar.close()
        self.phase = phase
        self.bar = _bar(f"{self.title}: {phase}", total, done)

    def _move(self, more: int) -> None:
        if self.bar is None:
            return
        self.bar.update(more)
        if sys.stderr.isatty():
            self.bar.set_postfix_str(self.figures(), refresh=False)
        elif time.monotonic() - self.said > LOG_EVERY_S:
            self.said = time.monotonic()
            line = f"{self.title}: {self.phase} {self.bar.n} of {self.bar.total}"
            say(f"{line}, {figures}" if (figures := self.figures()) else line)


class SearchDisplay:
    """Stored bytes of a corpus that were read, and the time left."""

    def __init__(self) -> None:
        self.bar: Any = None
        self.said = time.monotonic()
        self.first: tuple[float, int] | None = None

    def plan(self, total: int, done: int) -> None:
        self.bar = _bar("searched", total, done, unit="B", unit_scale=True)

    def tick(self, read: int) -> None:
        if self.bar is None:
            return
        self.bar.update(read)
        self.first = self.first or (time.monotonic(), self.bar.n)
        if not sys.stderr.isatty() and time.monotonic() - self.said > LOG_EVERY_S:
            self.said = time.monotonic()
            say(f"searched {self.bar.n / 1e6:,.0f} of {self.bar.total / 1e6:,.0f} MB{self._left()}")

    def _left(self) -> str:
        """How long at the speed since the first word: what came before it was the start of the processes."""
        assert self.first is not None
        since, before = self.first
        read, left = self.bar.n - before, self.bar.total - self.bar.n
        if read <= 0 or left <= 0:
            return ""
        seconds = int((time.monotonic() - since) * left / read)
        return f", about {seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02} left"

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()
            self.bar = None


def _bar(label: str, total: int, done: int, unit: str = "", **more: Any) -> Any:
    """On a terminal; in a log it counts and shows nothing."""
    from tqdm import tqdm

    quiet = None if sys.stderr.isatty() else io.StringIO()
    return tqdm(
        total=total, initial=done, desc=label, unit=unit, file=quiet, leave=False, dynamic_ncols=True, **more
    )  # fmt: skip
