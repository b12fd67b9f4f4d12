"""Every error a user can meet, each one line: what, where, what to do.

QcevalError              exit code 3 unless said otherwise
├── UsageError           2: a wrong option, an unknown name
├── InputError           2: a file, row or setting that cannot be used
│   ├── PluginError         a benchmark file that registration refuses
│   └── DatasetError        rows missing or not what the pin says
├── RunError             2: a run directory in use, or made from something else
└── InfrastructureError  3: no sandbox, no engine, a full disk
    ├── SandboxError        a sandbox died or does not answer
    └── ReferenceFailsError a reference solution fails here, so that nothing can be held against it
"""

from __future__ import annotations


class QcevalError(Exception):
    """Base of all; ``exit_code`` is what the command line returns."""

    exit_code = 3


class UsageError(QcevalError):
    exit_code = 2


class InputError(QcevalError):
    exit_code = 2


class PluginError(InputError):
    """A benchmark file that registration refuses, with file, field and remedy."""

    def __init__(self, file: str, field: str, problem: str, remedy: str) -> None:
        super().__init__(f"{file}: {field}: {problem}; {remedy}")
        self.file = file
        self.field = field


class DatasetError(InputError):
    pass


class UnpinnedError(DatasetError):
    """Rows whose pin is still to be written; the message has it."""


class RunError(QcevalError):
    exit_code = 2


class InfrastructureError(QcevalError):
    exit_code = 3


class SandboxError(InfrastructureError):
    pass


class ReferenceFailsError(InfrastructureError):
    pass
