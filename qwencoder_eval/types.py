"""The vocabulary of the harness. Every other module speaks in these nouns.

Times are seconds, sizes bytes, lengths of model output tokens, unless a name says otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from typing import Any, ClassVar, Literal


class Outcome(StrEnum):
    """What became of one check of one sample. Only the harness can write it, never the program."""

    PASSED = "passed"
    WRONG = "wrong"
    COMPILE_ERROR = "compile_error"
    RUNTIME_ERROR = "runtime_error"
    TIMEOUT = "timeout"
    OUT_OF_MEMORY = "out_of_memory"
    NO_CODE = "no_code"
    PROMPT_TOO_LONG = "prompt_too_long"
    INFRASTRUCTURE = "infrastructure"


@dataclass(frozen=True, slots=True)
class Problem:
    """One item of a benchmark.

    ``stub`` is the code that a continuation stands behind (empty where answers are whole programs),
    ``reference`` a completion that should pass, in the same form as a model's. ``assets`` are files and folders that it
    is scored with, a place each below the folder of data: see ``datasets.assets``.
    """

    id: str
    fields: Mapping[str, Any]  # what the prompt is made from
    tests: Mapping[str, Any]
    stub: str = ""
    reference: str | None = None
    language: str = "python"
    groups: Mapping[str, str] = field(default_factory=dict)
    assets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Message:
    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True)
class Continue:
    """Ask for what follows ``text``; ``before``, if there is any, stands above it, with a newline between them.

    The budgets (tokens) say how much is kept where a benchmark's rule cuts: of ``before`` its beginning, of ``text``
    its end. None keeps all. ``shorter``: see ``versions``.
    """

    text: str
    before: str | None = None
    before_tokens: int | None = None
    text_tokens: int | None = None
    shorter: tuple[Continue, ...] = ()


@dataclass(frozen=True, slots=True)
class Chat:
    """Ask for the next assistant message; a last assistant message is a prefill left open.

    ``shorter``: see ``versions``.
    """

    messages: tuple[Message, ...]
    shorter: tuple[Chat, ...] = ()


@dataclass(frozen=True, slots=True)
class Infill:
    """Ask for what stands between ``prefix`` and ``suffix``, in the way of the model's own format.

    ``files`` are other files of the repository (path, text), ``path`` that of the target; with either, the format for
    repositories is used. The budgets (tokens) say how much is kept where a benchmark's rule cuts: of the prefix its
    end, of the suffix its beginning, of the files together their beginning. None keeps all.

    ``retrieved`` is text that stands in the place of the suffix's end, cut by a budget of its own: of its beginning.
    ``by_relevance``: the files come in the order of their relevance; as many as fit are kept, the next one as far as
    it fits but for its last line, and the model sees them in reverse, the most relevant last, each under
    ``file_title`` (a template with ``{path}``). ``around`` are texts before and behind everything.
    """

    prefix: str
    suffix: str
    files: tuple[tuple[str, str], ...] = ()
    path: str = ""
    repository: str = ""
    prefix_tokens: int | None = None
    suffix_tokens: int | None = None
    files_tokens: int | None = None
    retrieved: str = ""
    retrieved_tokens: int | None = None
    by_relevance: bool = False
    file_title: str = ""
    around: tuple[str, str] = ("", "")


@dataclass(frozen=True, slots=True)
class Choice:
    """Ask which continuation of ``context`` the model holds for the likeliest; nothing is generated.

    ``normalisation``: log-probabilities are compared as they are, by token, or by character of the continuation.
    """

    context: str
    continuations: tuple[str, ...]
    normalisation: Literal["none", "tokens", "characters"] = "none"


@dataclass(frozen=True, slots=True)
class Haystack:
    """The source code that a needle is hidden in, known by its content; ``datasets.haystacks`` finds and reads it.

    ``place`` is a folder below that of data, empty where the user names another one.
    """

    name: str
    sha256: str
    place: str = ""


@dataclass(frozen=True, slots=True)
class Needle:
    """Ask for a function that stands somewhere in a lot of code, in a prompt of ``tokens`` of the model's own tokens.

    The code is ``before``, then as much of the haystack's beginning as fits, with ``text`` in it at ``depth`` (0 is its
    first line, 1 its end), then ``ask``. ``form``: each file under its path as a comment (``plain``) or in the model's
    own format for repositories, and ``ask`` in one more file, ``path``, whose text goes on; or all of it in the user's
    message of a chat, files as in ``plain``. See ``models.needles``.
    """

    haystack: Haystack
    text: str
    depth: float
    tokens: int
    form: Literal["plain", "repository", "chat"]
    ask: str
    path: str = ""
    before: str = ""


Prompt = Continue | Chat | Infill | Choice | Needle


def plain(prompt: Prompt) -> dict[str, Any]:
    """Its fields as JSON has them, without those that are as by default: a new field changes no old prompt."""
    return {
        each.name: _plain(value)
        for each in fields(prompt)
        if (value := getattr(prompt, each.name)) is not each.default and value != each.default
    }


def _plain(value: Any) -> Any:
    """Not by ``asdict``: it copies every value, and there is a prompt for every problem."""
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    if isinstance(value, Continue | Chat):
        return plain(value)
    return asdict(value) if isinstance(value, Message | Haystack) else value


def versions(prompt: Prompt) -> tuple[Prompt, ...]:
    """The prompt, and what is asked in its place where it does not fit the model's context, ever shorter.

    The first one counts that leaves room for the answer: for as many tokens as may be generated, but for no more than
    half of the context. Where none does it is the last. ``Completion.shortened`` says which one was asked.
    """
    return (prompt, *(getattr(prompt, "shorter", ())))


def is_chat(prompt: Prompt) -> bool:
    """Whether a message is asked for, and not the rest of a text."""
    return isinstance(prompt, Chat) or (isinstance(prompt, Needle) and prompt.form == "chat")


@dataclass(frozen=True, slots=True)
class Sampling:
    n: int = 1
    temperature: float = 0.0
    top_p: float = 1.0
    max_tokens: int = 1024
    stop: tuple[str, ...] = ()
    seed: int = 0


FinishReason = Literal["stop", "length", "prompt_too_long", "recorded", "reference"]


@dataclass(frozen=True, slots=True)
class Completion:
    """What a model answered. ``form`` says whether the text continues ``Problem.stub`` or stands alone.

    ``thoughts`` is what a model wrote for itself before its answer, where its profile says how that is marked.
    ``logprobs`` are those of the continuations of a Choice, and ``text`` is then the one that was chosen.
    ``prompt_too_long``: the prompt did not fit the model's context, and nothing was generated. ``shortened``: which of
    the prompt's ``versions`` was asked, 0 where it was the whole one.
    """

    text: str
    form: Literal["continuation", "whole"] = "continuation"
    finish_reason: FinishReason = "stop"
    prompt_tokens: int | None = None
    tokens: int | None = None
    thoughts: str = ""
    logprobs: tuple[float, ...] = ()
    shortened: int = 0


@dataclass(frozen=True, slots=True)
class Sample:
    """The n-th completion of a problem."""

    problem: str
    number: int
    completion: Completion


@dataclass(frozen=True, slots=True)
class Turn:
    """One exchange of a conversation: what a model answered, and what became of it."""

    completion: Completion
    checks: Mapping[str, Outcome]
    evidence: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Limits:
    """What one program may use.

    ``cpu_s`` counts the whole process tree, ``compile_cpu_s`` that of the compiler. ``wall_s`` is the backstop for
    programs that wait instead of work. Memory is a limit of the sandbox, not of the program: see
    ``Language.memory_bytes``. ``stack_bytes``: 0 is what the language has.
    """

    cpu_s: float = 10.0
    compile_cpu_s: float = 30.0
    wall_factor: float = 3.0
    output_bytes: int = 64 * 1024
    answer_bytes: int = 64 * 1024 * 1024
    stack_bytes: int = 0

    @property
    def wall_s(self) -> float:
        return self.cpu_s * self.wall_factor + 2.0

    @property
    def compile_wall_s(self) -> float:
        return self.compile_cpu_s * self.wall_factor + 2.0


@dataclass(frozen=True, slots=True)
class Calls:
    """Ask a function of a Python program for its values on inputs it sees one after the other.

    ``inputs`` is JSON: a list with one list of positional arguments a call, in the forms of ``scoring.values.encode``;
    ``cpu_s`` holds one limit a call. Of an answer of more than ``whole_bytes`` only size and digest travel.
    ``timed`` adds each call's own CPU time to its answer: for trusted programs, whose word counts.
    """

    WHOLE_BYTES: ClassVar[int] = 1 << 20

    function: str
    inputs: str
    cpu_s: Sequence[float]
    whole_bytes: int = WHOLE_BYTES
    timed: bool = False


@dataclass(frozen=True, slots=True)
class Suite:
    """Unit tests that run in one process with a Python program, behind it.

    ``tests`` is source with a class ``TestCases``; ``word`` is what comes out behind the answers if all of them passed.
    """

    tests: str
    word: str


@dataclass(frozen=True, slots=True)
class Program:
    """What a sandbox runs: files in a clean directory, a language's way to run them, and limits.

    With ``calls``, the language's main file is loaded as a module and one function of it is called. With ``reports``
    the program may write to its descriptor 3 what becomes ``Result.answers``. With ``script`` a Python program runs in
    a fork of the agent, which has the interpreter and common modules loaded; with ``suite`` there too, with its unit
    tests. With ``check`` only its syntax is checked, in the way of its language. ``compile_args`` are the compiler's,
    beside the language's own; ``environment`` goes before the language's. ``main`` is the main file's name where it
    cannot be the language's, as with public classes of Java. ``folder``, a path on this machine, is there to be read;
    the variable QCEVAL_ASSETS says where.
    """

    language: str
    files: Mapping[str, str]
    args: tuple[str, ...] = ()
    stdin: str = ""
    limits: Limits = field(default_factory=Limits)
    calls: Calls | None = None
    reports: bool = False
    script: bool = False
    suite: Suite | None = None
    check: bool = False
    compile_args: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    main: str = ""
    folder: str = ""


Ending = Literal[
    "exit", "signal", "compile_error", "cpu_limit", "wall_limit", "memory_limit", "answer_limit", "stopped"
]


@dataclass(frozen=True, slots=True)
class Result:
    """What the sandbox saw of one program; it says nothing about right or wrong.

    ``compiling``: it is the compiler that came to this end, and the program did not start.

    ``answers`` are the raw lines of a program with calls, or what one that reports wrote: untrusted.
    ``over`` tells the first call (or -1: the whole program) that used more CPU time than its limit,
    though it ended before the kill; None when all kept theirs. ``stopped``: the host had seen enough.
    """

    ending: Ending
    status: int  # exit status, or signal number where ending is "signal"
    cpu_s: float
    wall_s: float
    stdout: bytes | bytearray = b""
    stderr: bytes | bytearray = b""
    answers: bytes | bytearray = b""
    over: int | None = None
    compiling: bool = False

    @property
    def timed_out(self) -> bool:
        return self.over is not None or self.ending in ("cpu_limit", "wall_limit")

    @property
    def ambiguous(self) -> bool:
        """A timeout that a busy machine can cause: the backstop fired, or the program ended just past its limit."""
        return self.ending == "wall_limit" or (self.over is not None and self.ending != "cpu_limit")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one sample: ``checks`` by score name, ``measures`` by metric name.

    ``evidence`` is short and bounded, but comes from a hostile program: escape it where it is shown.
    """

    problem: str
    sample: int
    checks: Mapping[str, Outcome]
    measures: Mapping[str, float] = field(default_factory=dict)
    evidence: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Score:
    """A number that people act on, with its interval (95 %)."""

    metric: str
    value: float
    low: float
    high: float
    problems: int
    samples: int
