"""Score a SQL query by what it gives on a database server of the user's, beside what the gold query gives there.

No sandbox: nothing of a model's runs on this machine but SQL, and that on the server, with an account that may only
read; an account that may do more is refused. Connections are those of processes of ours (see sql_client.py), one for
each query that is asked at the same time, with a limit on memory. Gold results are kept in their memory.

The rule is BIRD's (bird-bench/mini_dev at 4d970a9, evaluation/evaluation_ex.py and evaluation_f1.py) on the values that
the driver gives. ``Problem.tests`` holds ``query``, the gold one.

A model's query may end other connections of its account, or take the server's time. So what ends by time, or because
its connection does, is asked once more while nothing else of ours is.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar, Literal

from ..errors import InfrastructureError, InputError, ReferenceFailsError, SandboxError
from ..types import Outcome, Problem, Program
from .base import Judgement, Runner
from .queries import FAILURES
from .recorded import Recorded

DEMANDS = {
    "postgresql": "CREATE ROLE reader LOGIN PASSWORD '...'; GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader; "
    "REVOKE CREATE ON SCHEMA public FROM PUBLIC",
    "mysql": "CREATE USER reader IDENTIFIED BY '...'; GRANT SELECT ON bird.* TO reader",
}
FORMS = {"postgresql": "postgresql://reader:PASSWORD@HOST/bird", "mysql": "mysql://reader:PASSWORD@HOST/bird"}
KINDS = {"postgresql": {"postgresql"}, "mysql": {"mysql", "mariadb"}}
GOLD_TIMES = 10  # how many times an answer's limit a gold query has
MARGIN_S = 60.0  # that a client has beyond the limits of its queries
# A query for rows: SELECT, WITH, VALUES or TABLE, behind comments; those that MySQL executes are none.
QUERY = re.compile(
    r"(?>\s+|\(|--[^\n]*\n|#[^\n]*\n|/\*(?![!M]).*?\*/)*+(?:select|with|values|table)\b", re.IGNORECASE | re.DOTALL
)


@dataclass(frozen=True, slots=True)
class ServerScorer:
    """``seconds`` is what a query may take, by the clock, as nothing else can be known of a server."""

    check: str
    dialect: Literal["mysql", "postgresql"]
    seconds: float = 30.0
    memory_bytes: int = 1 << 30
    version: int = 1
    checks: tuple[str, ...] = field(init=False, default=())

    runs: ClassVar[bool] = False
    cached: ClassVar[bool] = False  # nobody knows whether the database is still the same
    passing: ClassVar[str] = "ex"
    measured: ClassVar[tuple[str, ...]] = ("soft_f1",)

    def __post_init__(self) -> None:
        object.__setattr__(self, "checks", (self.check,))

    def key(self) -> dict[str, Any]:
        return {"scorer": "sql servers", **asdict(self)}

    def reference_programs(self, problem: Problem) -> list[Program]:
        return []

    def learn(self, problem: Problem, references: Sequence[Recorded]) -> None:
        return None

    def score(self, problem: Problem, code: str, known: None, runner: Runner) -> Judgement:
        """Raises InputError where no server is named or its account may write, InfrastructureError without a server."""
        if not QUERY.match(code):
            said = {"error": "not a query for rows: nothing else is run", "check": self.check}
            return Judgement({self.check: Outcome.RUNTIME_ERROR}, {"soft_f1": 0.0}, said)
        found = clients(self.dialect, address(self.dialect), self.memory_bytes).asked(
            {"gold_query": problem.tests["query"], "answer": code, "seconds": self.seconds,
             "gold_seconds": self.seconds * GOLD_TIMES}, (1 + GOLD_TIMES) * self.seconds + MARGIN_S
        )  # fmt: skip
        if "gold" in found:
            raise ReferenceFailsError(f"{problem.id}: the gold query fails on this server ({found['error']})")
        if "failed" in found:
            outcome = FAILURES.get(found["failed"], Outcome.RUNTIME_ERROR)
            return Judgement({self.check: outcome}, {"soft_f1": 0.0}, {"error": found["error"], "check": self.check})
        if found["same"]:
            return Judgement({self.check: Outcome.PASSED}, {"soft_f1": found["soft_f1"]})
        said = {"expected": found["expected"], "got": found["got"], "check": self.check}
        return Judgement({self.check: Outcome.WRONG}, {"soft_f1": found["soft_f1"]}, said)

    def notes(self, problems: Sequence[Problem]) -> list[str]:
        """Which server a score rests on, where one was asked."""
        if not os.environ.get(variable(self.dialect)):
            return []
        version = clients(self.dialect, address(self.dialect), self.memory_bytes).version
        return [f"server: {version}"] if version else []


def variable(dialect: str) -> str:
    return f"QCEVAL_{dialect.upper()}_URL"


def address(dialect: str) -> str:
    """The server's URL, from the environment alone: it holds a password. Raises InputError, which says none of it."""
    name = variable(dialect)
    url = os.environ.get(name)
    if not url:
        raise InputError(f"{name}: not set; name a server with BIRD's tables: {FORMS[dialect]}")
    try:
        from sqlalchemy.engine import make_url
        from sqlalchemy.exc import ArgumentError

        __import__("psycopg" if dialect == "postgresql" else "pymysql")
    except ImportError as error:
        missing = error.name or "a driver"
        raise InputError(f"{name}: {missing} is not installed; pip install 'qwencoder_eval[sql]'") from None
    try:
        kind = make_url(url).get_backend_name()
    except (ArgumentError, ValueError):
        raise InputError(f"{name}: not a URL of a database; write {FORMS[dialect]}") from None
    if kind not in KINDS[dialect]:
        raise InputError(f"{name}: not a URL of {dialect}; write {FORMS[dialect]}")
    return url


class Client:
    """One process of sql_client.py. Raises InputError and InfrastructureError as ``ServerScorer.score`` does."""

    def __init__(self, dialect: str, url: str, memory: int) -> None:
        package = str(Path(__file__).resolve().parents[2])
        paths = [package, *filter(None, [os.environ.get("PYTHONPATH")])]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "qwencoder_eval.scoring.sql_client"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
            text=True,
        )
        try:
            found = self.ask({"dialect": dialect, "url": url, "memory": memory}, MARGIN_S)
            if found is None:
                raise InfrastructureError(f"{variable(dialect)}: the client ended without a word; is the driver whole?")
            if "refused" in found:
                raise InputError(
                    f"{variable(dialect)}: the account {found['refused']}; name one that can only read: "
                    f"{DEMANDS[dialect]}"
                )
            self.version: str = found["server"]
        except BaseException:
            self.close()
            raise

    def ask(self, question: dict[str, Any], seconds: float) -> dict[str, Any] | None:
        """None where the process ended instead of answering. Raises InfrastructureError where the server is gone."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        watch = threading.Timer(seconds, self.process.kill)
        watch.daemon = True
        watch.start()
        try:
            self.process.stdin.write(json.dumps(question) + "\n")
            self.process.stdin.flush()
            answer: dict[str, Any] = json.loads(self.process.stdout.readline())
        except (OSError, ValueError):
            return None
        finally:
            watch.cancel()
        if "unreachable" in answer:
            raise InfrastructureError(f"no database server: {answer['unreachable']}; start it, or correct its URL")
        return answer

    def close(self) -> None:
        self.process.kill()
        for pipe in (self.process.stdin, self.process.stdout):
            with contextlib.suppress(OSError):
                pipe.close()  # type: ignore[union-attr]
        self.process.wait()

    @property
    def interrupted(self) -> bool:
        return self.process.wait() == -signal.SIGINT


class Clients:
    """As many clients of a server as are asked at the same time."""

    def __init__(self, dialect: str, url: str, memory: int) -> None:
        self.made_of = (dialect, url, memory)
        self.version = ""
        self._idle: list[Client] = []
        self._changed = threading.Condition()
        self._running = self._waiting_alone = 0
        atexit.register(self.close)

    def asked(self, question: dict[str, Any], seconds: float) -> dict[str, Any]:
        """The answer; where it hangs on time or a lost connection, a second one, with nothing else of ours running.

        Raises InputError and InfrastructureError.
        """
        with self._counted(alone=False), contextlib.suppress(InfrastructureError):
            found = self._asked(question, seconds)
            if not {found.get("gold"), found.get("failed")} & {"TimeoutError", "LostError"}:
                return found
        with self._counted(alone=True):
            return self._asked(question, seconds)

    def _asked(self, question: dict[str, Any], seconds: float) -> dict[str, Any]:
        client = self._taken() or Client(*self.made_of)
        self.version = client.version
        try:
            found = client.ask(question, seconds)
        except BaseException:
            client.close()
            raise
        if found is None:
            interrupted = client.interrupted
            client.close()
            if interrupted:
                raise SandboxError("the client of the database server was interrupted")
            return {"failed": "LostError", "error": "the client ended: too large a row, most likely"}
        with self._changed:
            self._idle.append(client)
        return found

    def _taken(self) -> Client | None:
        """An idle one that lives."""
        with self._changed:
            while self._idle:
                client = self._idle.pop()
                if client.process.poll() is None:
                    return client
                client.close()
        return None

    @contextlib.contextmanager
    def _counted(self, alone: bool) -> Iterator[None]:
        """As in ``sandboxes.pool``."""
        with self._changed:
            self._waiting_alone += alone
            self._changed.wait_for(lambda: not (self._running if alone else self._waiting_alone))
            self._running += 1
        try:
            yield
        finally:
            with self._changed:
                self._running -= 1
                self._waiting_alone -= alone
                self._changed.notify_all()

    def close(self) -> None:
        while self._idle:
            self._idle.pop().close()


@lru_cache(maxsize=8)
def clients(dialect: str, url: str, memory: int) -> Clients:
    return Clients(dialect, url, memory)
