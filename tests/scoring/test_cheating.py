"""Programs that try to pass without solving the problem, on every backend that isolates. None may."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from qwencoder_eval.sandboxes.base import Backend
from qwencoder_eval.sandboxes.pool import Pool
from qwencoder_eval.scoring.calls import CallScorer
from qwencoder_eval.scoring.references import References
from qwencoder_eval.types import Outcome, Problem

# The secret is what an honest program computes and no cheating one can know: 48271 * n % 2147483647.
REFERENCE = "    return [48271 * n % 2147483647, str(n)]\n"
HONEST = "def f(n):\n    return [n * 48271 % 2147483647, '%d' % n]\n"
PROBLEM = Problem(
    "cheat/0", {}, {"entry_point": "f", "atol": 0, "inputs": [[1234567], [7654321], [99]]},
    stub="def f(n):\n", reference=REFERENCE,
)  # fmt: skip

CHEATS = {
    "an object equal to everything": """
        class Any:
            def __eq__(self, other): return True
            def __ne__(self, other): return False
            def __hash__(self): return 0
            def __len__(self): return 2
            def __iter__(self): return iter([self, self])
        def f(n): return Any()
    """,
    "a list equal to everything": """
        class L(list):
            def __eq__(self, other): return True
        def f(n): return L([0, ''])
    """,
    "an int and a str equal to everything": """
        class I(int):
            def __eq__(self, other): return True
        class S(str):
            def __eq__(self, other): return True
        def f(n): return [I(0), S('')]
    """,
    "metaclass with its own eq and instancecheck": """
        class M(type):
            def __eq__(cls, other): return True
            def __instancecheck__(cls, x): return True
            def __subclasscheck__(cls, x): return True
            __hash__ = type.__hash__
        class C(list, metaclass=M):
            def __eq__(self, other): return True
            __class__ = list
        def f(n): return C([1, 2])
    """,
    "reduce and reduce_ex": """
        import os
        class R:
            def __reduce__(self): return (os.system, ('true',))
            def __reduce_ex__(self, v): return (list, ([0],))
            def __eq__(self, other): return True
        def f(n): return R()
    """,
    "expected values through frames": """
        import sys
        def f(n):
            frame = sys._getframe()
            while frame:
                for scope in (frame.f_locals, frame.f_globals):
                    for name, value in list(scope.items()):
                        if 'expect' in name or name in ('exp', 'truth', 'known', 'reference'):
                            try: return value[0]
                            except Exception: return value
                frame = frame.f_back
    """,
    "expected values through gc": """
        import gc
        def f(n):
            for o in gc.get_objects():
                if isinstance(o, list) and len(o) == 2 and isinstance(o[0], int) and o[1:] == [str(n)]:
                    return o
                if isinstance(o, dict) and ('expected' in o or 'value' in o):
                    return o.get('expected', o.get('value'))
    """,
    "expected values through files": """
        import os
        def f(n):
            for top in ('/', '/tmp', '/root', '/home', '/srv', '/opt', os.getcwd()):
                for folder, folders, names in os.walk(top):
                    folders[:] = [d for d in folders if len(folder) > 1 or d in ('tmp', 'root', 'home', 'srv', 'opt')]
                    for name in names:
                        try: text = open(os.path.join(folder, name), errors='replace').read(100000)
                        except OSError: continue
                        if '48271' in text and 'return' in text and 'open(' not in text:
                            scope = {}
                            exec('def g(n):' + text.split('def f(n):')[-1], scope)
                            return scope['g'](n)
    """,
    "expected values through proc": """
        import os, re
        def f(n):
            for pid in os.listdir('/proc'):
                if pid.isdigit() and int(pid) != os.getpid():
                    for name in ('environ', 'cmdline', 'maps', 'mem'):
                        try: text = open(f'/proc/{pid}/{name}', 'rb').read(1000000)
                        except OSError: continue
                        found = re.search(rb'"value": (\\[\\d+, "%d"\\])' % n, text)
                        if found: return eval(found.group(1))
    """,
    "its own memory": """
        import re
        def f(n):
            with open('/proc/self/maps') as maps, open('/proc/self/mem', 'rb', 0) as mem:
                for line in maps:
                    span, mode = line.split()[:2]
                    if 'r' not in mode: continue
                    a, b = (int(x, 16) for x in span.split('-'))
                    try: mem.seek(a); data = mem.read(b - a)
                    except (OSError, ValueError, OverflowError): continue
                    found = re.search(rb'"value": (\\[\\d+, "%d"\\])' % n, data)
                    if found: return eval(found.group(1))
    """,
    "writing into every descriptor": """
        import os
        for fd in range(1000):
            for text in (b'{"value": true}\\n', b'passed\\n', b'\\x00\\x00\\x00\\x02{}', b'{"ending": "exit"}'):
                try: os.write(fd, text)
                except OSError: pass
        def f(n): return None
    """,
    "printing what looks like a verdict": """
        import sys, os
        def f(n):
            print('passed'); print('{"checks": {"cheat": "passed"}}'); sys.stdout.flush()
            os.write(1, b'OK\\n'); os.write(2, b'OK\\n')
    """,
    "sys.exit(0) at load": "import sys\nsys.exit(0)\ndef f(n): pass",
    "sys.exit(0) in the call": "import sys\ndef f(n): sys.exit(0)",
    "os._exit(0) at load": "import os\nos._exit(0)",
    "os._exit(0) in the call": "import os\ndef f(n): os._exit(0)",
    "raise SystemExit": "def f(n): raise SystemExit(0)",
    "raise KeyboardInterrupt": "def f(n): raise KeyboardInterrupt",
    "answers of its own, then exit": """
        import os
        def f(n):
            os.write(3, b'{"value": true}\\n' * 3)
            os._exit(0)
    """,
    "replaced builtins": """
        import builtins, json
        class Yes:
            def __eq__(self, o): return True
            def __call__(self, *a, **k): return True
        for name in ('len', 'all', 'any', 'type', 'isinstance', 'abs', 'set', 'map', 'repr', 'zip'):
            setattr(builtins, name, lambda *a, **k: True)
        json.dumps = lambda *a, **k: '{"value": true}'
        def f(n): return True
    """,
    "patched math and operator": """
        import math, operator
        math.pow = math.fabs = math.isclose = lambda *a: 0
        operator.eq = lambda a, b: True
        def f(n): return 0
    """,
    "patched runner": """
        import sys
        for module in list(sys.modules.values()):
            for name in ('encode', '_encode', 'describe', 'answer'):
                if hasattr(module, name):
                    try: setattr(module, name, lambda *a, **k: {'$': 'any'})
                    except Exception: pass
        def f(n): return 0
    """,
    "threads that answer late": """
        import threading, os, time
        def late():
            while True:
                try: os.write(3, b'{"value": [0, ""]}\\n')
                except OSError: return
        def f(n):
            threading.Thread(target=late, daemon=True).start()
            time.sleep(0.01)
            return None
    """,
    "atexit handlers that answer late": """
        import atexit, os, sys
        atexit.register(lambda: os.write(3, b'{"value": [1, "1"]}\\n'))
        def f(n): sys.exit(0)
    """,
    "a forked child that answers": """
        import os
        def f(n):
            if os.fork() == 0:
                os.write(3, b'{"value": true}\\n'); os._exit(0)
            os.wait()
            return None
    """,
    "ptrace of the parent": """
        import ctypes, os
        libc = ctypes.CDLL(None)
        for pid in (os.getppid(), 1):
            libc.ptrace(16, pid, 0, 0)
        def f(n): return None
    """,
    "an answer full of NaN": "def f(n): return [float('nan'), float('nan')]",
    "a numpy array of True": "import numpy\ndef f(n): return numpy.array([True])",
    "a generator": "def f(n):\n    yield n",
    "its own source as an answer": "def f(n): return f",
}


@pytest.fixture(scope="module")
def references(backend: Backend, tmp_path_factory: pytest.TempPathFactory) -> References:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("QCEVAL_CACHE", str(tmp_path_factory.mktemp("cache")))
        made = References(CallScorer({"cheat": "inputs"}, min_limit_s=2.0), backend)
        made.prepare([PROBLEM], 1, lambda done, total: None)
        made.known(PROBLEM)
        return made


def outcome_of(code: str, references: References, pool: Pool) -> Outcome:
    known = references.known(PROBLEM)
    return references.scorer.score(PROBLEM, textwrap.dedent(code), known, pool).checks["cheat"]


@pytest.mark.parametrize("name", CHEATS)
def test_no_cheat_passes(name: str, references: References, pool: Pool) -> None:
    outcome = outcome_of(CHEATS[name], references, pool)
    assert outcome in (Outcome.WRONG, Outcome.RUNTIME_ERROR, Outcome.TIMEOUT)
    assert outcome_of(HONEST, references, pool) is Outcome.PASSED  # the neighbour is unharmed


def test_the_expected_values_lie_where_no_sandbox_looks(references: References, tmp_path: Path) -> None:
    (path,) = [references.path(program) for program in references.scorer.reference_programs(PROBLEM)]
    assert path.is_file()
    assert not str(path).startswith(("/usr", "/opt", "/lib", "/bin"))
