"""The pool: who runs where and when. Scheduling is tested with sandboxes that only pretend; endings with real ones."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from qwencoder_eval.errors import SandboxError
from qwencoder_eval.sandboxes import pool as module
from qwencoder_eval.sandboxes.base import Channel, Decided, Sandbox
from qwencoder_eval.sandboxes.languages import Language, language
from qwencoder_eval.sandboxes.pool import Pool, memory_for_each
from qwencoder_eval.types import Program, Result

if TYPE_CHECKING:
    from conftest import Place

PATIENCE_S = 10.0
RESULT = Result("exit", 0, 0.0, 0.0)
PROGRAM = Program("python", {"main.py": ""})


class Pretended(Sandbox):
    """Runs ``backend.act`` instead of a program."""

    backend = "pretended"

    def __init__(self, language: Language, memory_bytes: int, owner: Pretending) -> None:
        super().__init__(language, memory_bytes)
        self.owner = owner
        self.running = threading.Lock()
        self.started = False
        self.stops = 0

    def open(self) -> Channel:
        raise AssertionError

    def interrupt(self) -> None:
        """Whatever runs may end all the same."""

    def close(self) -> None:
        self.stops += 1

    def start(self) -> None:
        self.started = True
        self.owner.starting(self)

    def run(self, program: Program, decided: Decided | None = None) -> Result:
        assert self.running.acquire(blocking=False), "two programs in one sandbox"
        try:
            self.programs += 1
            return self.owner.act(self, program)
        finally:
            self.running.release()


class Pretending:
    name = "pretending"

    def __init__(self, act: Callable[[Pretended, Program], Result] = lambda sandbox, program: RESULT) -> None:
        self.act = act
        self.starting: Callable[[Pretended], None] = lambda sandbox: None
        self.made: list[Pretended] = []

    def why_not(self) -> str | None:
        return None

    def identity(self, language: Language) -> dict[str, str]:
        return {}

    def sandbox(self, language: Language, memory_bytes: int) -> Sandbox:
        self.made.append(Pretended(language, memory_bytes, self))
        return self.made[-1]

    @property
    def left(self) -> list[Pretended]:
        return [sandbox for sandbox in self.made if sandbox.started and not sandbox.stops]


@contextlib.contextmanager
def threads(count: int) -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(count) as executor:
        yield executor


def test_one_program_at_a_time_and_no_more_sandboxes_than_workers() -> None:
    meet = threading.Barrier(3, timeout=PATIENCE_S)

    def act(sandbox: Pretended, program: Program) -> Result:
        meet.wait()  # passes only if three run at once
        return RESULT

    backend = Pretending(act)
    with Pool(backend, 3) as pool, threads(12) as executor:
        assert list(executor.map(pool.run, [PROGRAM] * 60)) == [RESULT] * 60
        assert len(backend.made) == 3
        assert sum(sandbox.programs for sandbox in backend.made) == 60
    assert backend.left == []


def test_a_sandbox_is_replaced_after_a_number_of_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RECYCLE_AFTER", 3)
    backend = Pretending()
    with Pool(backend, 1) as pool:
        for _ in range(7):
            pool.run(PROGRAM)
        assert [sandbox.programs for sandbox in backend.made] == [3, 3, 1]
        assert backend.left == backend.made[-1:]


def test_a_sandbox_that_is_not_clean_is_replaced() -> None:
    def act(sandbox: Pretended, program: Program) -> Result:
        sandbox.clean = program.stdin != "dirt"
        return RESULT

    backend = Pretending(act)
    with Pool(backend, 1) as pool:
        for stdin in ("", "dirt", "", ""):
            pool.run(Program("python", {}, stdin=stdin))
        assert [sandbox.programs for sandbox in backend.made] == [2, 2]
        assert backend.made[0].stops


def test_a_sandbox_that_dies_is_retried_on_a_fresh_one() -> None:
    def act(sandbox: Pretended, program: Program) -> Result:
        if len(backend.made) < module.ATTEMPTS:
            raise SandboxError("died")
        return RESULT

    backend = Pretending(act)
    with Pool(backend, 1) as pool:
        assert pool.run(PROGRAM) is RESULT
        assert len(backend.made) == module.ATTEMPTS
        assert backend.left == backend.made[-1:]


def test_a_sandbox_that_always_dies_is_an_error() -> None:
    def act(sandbox: Pretended, program: Program) -> Result:
        raise SandboxError(f"died {len(backend.made)}")

    backend = Pretending(act)
    with Pool(backend, 2) as pool:
        for alone in (False, True):
            with pytest.raises(SandboxError, match="died"):
                (pool.run_alone if alone else pool.run)(PROGRAM)
        assert len(backend.made) == 2 * module.ATTEMPTS
        assert backend.left == []
        backend.act = lambda sandbox, program: RESULT
        assert list(map(pool.run, [PROGRAM] * 3)) == [RESULT] * 3, "the pool must not lose its places"


def test_a_sandbox_that_does_not_start_is_retried_too() -> None:
    def starting(sandbox: Pretended) -> None:
        if len(backend.made) < module.ATTEMPTS:
            raise SandboxError("does not start")

    backend = Pretending()
    backend.starting = starting
    with Pool(backend, 1) as pool:
        assert pool.run(PROGRAM) is RESULT
        assert backend.left == backend.made[-1:]


def test_other_errors_pass_and_cost_the_sandbox() -> None:
    def act(sandbox: Pretended, program: Program) -> Result:
        raise KeyboardInterrupt

    backend = Pretending(act)
    with Pool(backend, 1) as pool:
        with pytest.raises(KeyboardInterrupt):
            pool.run(PROGRAM)
        assert len(backend.made) == 1
        assert backend.left == []


def test_one_language_makes_room_for_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "language", lambda name: Language(name, "", "", (), ()))
    backend = Pretending()
    with Pool(backend, 2) as pool:
        for name in ("a", "b", "a", "b"):
            pool.run(Program(name, {}))
        assert [sandbox.language.name for sandbox in backend.left] == ["a"] or len(backend.left) <= 2
        with threads(6) as executor:
            list(executor.map(pool.run, [Program(name, {}) for name in "abcabcabc"]))
        assert len(backend.left) <= 2


def test_alone_is_alone() -> None:
    running, most = 0, {"alone": 0, "together": 0}
    mutex = threading.Lock()

    def act(sandbox: Pretended, program: Program) -> Result:
        nonlocal running
        with mutex:
            running += 1
            most[program.stdin] = max(most[program.stdin], running)
        threading.Event().wait(0.002)
        with mutex:
            running -= 1
        return RESULT

    backend = Pretending(act)
    with Pool(backend, 4) as pool, threads(12) as executor:
        work = [
            executor.submit(pool.run_alone if i % 5 == 0 else pool.run, Program("python", {}, stdin=kind))
            for i in range(100)
            for kind in ["alone" if i % 5 == 0 else "together"]
        ]
        assert [future.result(PATIENCE_S) for future in work] == [RESULT] * 100
    assert most == {"alone": 1, "together": most["together"]}
    assert most["together"] > 1


def test_alone_waits_for_those_that_run_and_holds_back_those_that_come() -> None:
    entered, leave = threading.Event(), threading.Event()
    order: list[str] = []

    def act(sandbox: Pretended, program: Program) -> Result:
        if program.stdin == "first":
            entered.set()
            assert leave.wait(PATIENCE_S)
        order.append(program.stdin)
        return RESULT

    backend = Pretending(act)
    with Pool(backend, 3) as pool, threads(3) as executor:
        first = executor.submit(pool.run, Program("python", {}, stdin="first"))
        assert entered.wait(PATIENCE_S)
        alone = executor.submit(pool.run_alone, Program("python", {}, stdin="alone"))
        while not pool._waiting_alone:
            pass
        late = executor.submit(pool.run, Program("python", {}, stdin="late"))
        leave.set()
        for future in (first, alone, late):
            future.result(PATIENCE_S)
    assert order == ["first", "alone", "late"]


def test_closing_while_a_sandbox_starts_leaves_none_behind() -> None:
    started, go_on = threading.Event(), threading.Event()

    def starting(sandbox: Pretended) -> None:
        started.set()
        assert go_on.wait(PATIENCE_S)

    backend = Pretending()
    backend.starting = starting
    pool = Pool(backend, 1)
    with threads(1) as executor:
        future = executor.submit(pool.run, PROGRAM)
        assert started.wait(PATIENCE_S)
        pool.close()
        go_on.set()
        with pytest.raises(SandboxError):
            future.result(PATIENCE_S)
    assert backend.left == []


def test_closing_while_a_program_ends_leaves_no_sandbox_behind() -> None:
    def act(sandbox: Pretended, program: Program) -> Result:
        pool.close()
        return RESULT

    backend = Pretending(act)
    pool = Pool(backend, 1)
    with contextlib.suppress(SandboxError):
        pool.run(PROGRAM)
    assert backend.left == []


def test_a_closed_pool_starts_nothing() -> None:
    backend = Pretending()
    with Pool(backend, 1) as pool:
        pool.run(PROGRAM)
    pool.close()
    with pytest.raises(SandboxError, match="closed"):
        pool.run(PROGRAM)
    assert backend.left == []


def test_programs_find_the_sandboxes_that_were_started_for_them() -> None:
    both = threading.Barrier(2, timeout=PATIENCE_S)
    backend = Pretending()

    def starting(sandbox: Pretended) -> None:
        both.wait()

    backend.starting = starting
    with Pool(backend, 2) as pool, threads(2) as executor:
        pool.start("python", 7)
        assert list(executor.map(pool.run, [PROGRAM] * 9)) == [RESULT] * 9
        assert len(backend.made) == 2
    assert backend.left == []


def test_no_more_sandboxes_are_started_than_there_are_programs() -> None:
    backend = Pretending()
    with Pool(backend, 4) as pool:
        pool.start("python", 1)
        pool.run(PROGRAM)
        assert len(backend.made) == 1


def test_what_cannot_be_started_is_said_to_the_program_that_needs_it() -> None:
    def starting(sandbox: Pretended) -> None:
        raise SandboxError("no more room")

    backend = Pretending()
    backend.starting = starting
    with Pool(backend, 1) as pool:
        pool.start("python", 1)
        with pytest.raises(SandboxError, match="no more room"):
            pool.run(PROGRAM)
    assert backend.left == []


def test_closing_waits_for_sandboxes_that_nobody_has_used() -> None:
    started, closing = threading.Event(), threading.Event()

    def starting(sandbox: Pretended) -> None:
        started.set()
        assert closing.wait(PATIENCE_S)

    backend = Pretending()
    backend.starting = starting
    pool = Pool(backend, 1)
    pool.start("python", 1)
    assert started.wait(PATIENCE_S)
    with threads(1) as executor:
        closed = executor.submit(pool.close)
        closing.set()
        closed.result(PATIENCE_S)
    assert backend.left == []


def test_memory_is_shared_out() -> None:
    assert memory_for_each(1, 1) == 1
    assert memory_for_each(1 << 60, 4) * 4 <= memory_for_each(1 << 60, 1) < 1 << 60
    assert memory_for_each(language("python").memory_bytes, 1) > 1 << 28


# -- with real sandboxes -----------------------------------------------------------------------------


@pytest.fixture
def real(isolated: Place) -> Iterator[Place]:
    """A place of its own: the shared one counts what its pool makes."""
    place = type(isolated)(isolated.kind)
    yield place
    place.close()


def test_programs_at_once_in_real_sandboxes(real: Place) -> None:
    with Pool(real, 2) as pool, threads(4) as executor:
        programs = [real.asking("def f(x): return x * 2", [[i]]) for i in range(40)]
        results = list(executor.map(pool.run, programs))
        assert [real.lines(result)[1]["value"] for result in results] == [2 * i for i in range(40)]
        assert len(real.made) == 2


def test_closing_ends_programs_that_run(real: Place) -> None:
    pool = Pool(real, 2)
    endless = real.plain("import time; time.sleep(60)", real.limits(30, 60))
    with threads(2) as executor:
        futures = [executor.submit(pool.run, endless) for _ in range(2)]

        def both_run() -> bool:
            return len(real.made) == 2 and all(s.channel is not None and real.inside(s) > 1 for s in real.made)

        assert real.within(PATIENCE_S, both_run)
        pids = set().union(*(real.pids(sandbox) for sandbox in real.made))
        pool.close()
        for future in futures:
            assert isinstance(future.exception(PATIENCE_S), SandboxError)
    assert real.within(PATIENCE_S, lambda: not any(map(real.alive, pids)))


def test_a_real_sandbox_that_was_killed_is_replaced(real: Place) -> None:
    real.out("print(1)")
    killed = real.made[-1]
    real.kill_agent(killed)
    assert real.out("print(2)") == "2\n"
    assert real.made[-1] is not killed
