"""The one live line of a run, on standard error: a bar on a terminal, a line now and then in a log."""

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
        from tqdm import tqdm

        if self.bar is not None:
            self.bar.close()
        self.phase = phase
        quiet = None if sys.stderr.isatty() else io.StringIO()
        label = f"{self.title}: {phase}"
        self.bar = tqdm(total=total, initial=done, desc=label, unit="", file=quiet, leave=False, dynamic_ncols=True)

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
