"""Contest programs that would rather not solve their problem, in every backend that isolates: none passes."""

from __future__ import annotations

import pytest
from contests import READ, RIGHT, SUM, outcome, solution

from qwencoder_eval.sandboxes.pool import Pool
from qwencoder_eval.scoring.contest import ContestScorer, Inside

ALL = "*range(-20, 20), 777777"
CHEATS = {
    "the first answer for all": "print(7)",
    "every answer": f"print({ALL})",
    "every answer on a line of its own": f"print({ALL}, sep='\\n')",
    "no answer": "x = 1",
    "leaves at once": "import os\nos._exit(0)",
    "leaves as if all were well": "raise SystemExit(0)",
    "another stdin": "import io, sys\nsys.stdin = io.StringIO('0\\n0\\n')\n" + RIGHT,
    "another input": "import builtins\nbuiltins.input = input = lambda: 1\n" + RIGHT,
    "another open": "import builtins, io\nbuiltins.open = lambda *a, **k: io.StringIO('7')\nprint(open(0).read())",
    "another clock": "import time\ntime.time = time.process_time = time.perf_counter = lambda: 0\nprint(7)",
    "another print": "import builtins\nbuiltins.print = lambda *a, **k: 1\nprint(7)",
    "another str": "class S(str):\n    def __eq__(self, other): return True\n    __hash__ = str.__hash__\nprint(S(7))",
    "its own process": """
for name in ('environ', 'cmdline', 'status', 'maps', 'mountinfo'):
    try: print(open('/proc/self/' + name, errors='replace').read())
    except OSError: pass
""",
    "its own memory": """
import re
found = set()
for line in open('/proc/self/maps'):
    begin, end = (int(number, 16) for number in line.split()[0].split('-'))
    if 'rw' in line.split()[1] and end - begin < 1 << 26:
        try:
            with open('/proc/self/mem', 'rb', 0) as memory:
                memory.seek(begin)
                found |= set(re.findall(rb'"output": "(.{1,20}?)"', memory.read(end - begin)))
        except (OSError, OverflowError): pass
print(*(text.decode(errors='replace') for text in found), sep='\\n')
""",
    "the memory of others": """
import os, re
found = set()
for pid in (os.getppid(), *range(1, 30)):
    try:
        for line in open(f'/proc/{pid}/maps'):
            begin, end = (int(number, 16) for number in line.split()[0].split('-'))
            with open(f'/proc/{pid}/mem', 'rb', 0) as memory:
                memory.seek(begin)
                found |= set(re.findall(rb'"output": "(.{1,20}?)"', memory.read(min(end - begin, 1 << 20))))
    except (OSError, ValueError, OverflowError): pass
print(*(text.decode(errors='replace') for text in found), sep='\\n')
""",
    "the files of others": """
import os
for pid in (os.getppid(), 1):
    for name in ('environ', 'cmdline', 'fd/3', 'fd/5'):
        try: print(open(f'/proc/{pid}/{name}', errors='replace').read(1000))
        except OSError: pass
""",
    "objects of the agent": """
import gc
for each in gc.get_objects():
    if isinstance(each, dict) and ('files' in each or 'expected' in each or 'output' in each):
        print(each.get('expected', each.get('output', '')))
""",
    "frames of the agent": """
import sys
frame = sys._getframe()
while frame:
    print(*[value for value in frame.f_locals.values() if isinstance(value, (str, int, list, tuple))])
    frame = frame.f_back
""",
    "an answer in the agent's name": """
import json, os, struct
seen = {'ending': 'exit', 'status': 0, 'cpu_s': 0, 'wall_s': 0, 'over': None, 'clean': True, 'lengths': [1, 0, 0]}
head = json.dumps(seen).encode()
for fd in range(3, 200):
    try: os.write(fd, struct.pack('>I', len(head)) + head + b'7')
    except OSError: pass
""",
    "the end of the agent": """
import os, signal
for pid in (os.getppid(), 1, -1):
    try: os.kill(pid, signal.SIGKILL)
    except OSError: pass
print(7)
""",
    "other modules for the agent": "import sys\nsys.modules.update(script=None, calls=None, json=None)\nprint(7)",
    "what its neighbour left": """
import os
places = [place for place in ('/tmp', '/dev/shm', '/var/tmp', '.') if os.path.isdir(place)]
found = [place for place in places if os.path.exists(place + '/mine')]
for place in places:
    try: open(place + '/mine', 'w').write('7')
    except OSError: pass
print(9 if found else 7)
""",
    "a child that goes on": "import os, time\nif os.fork():\n    os._exit(0)\ntime.sleep(0.05)\nprint(7)",
    "tests on the disk": """
import glob
for name in glob.glob('/opt/**/*', recursive=True)[:500] + glob.glob('/tmp/*') + glob.glob('/*'):
    try: print(*[line for line in open(name, errors='ignore') if 'output' in line][:2])
    except OSError: pass
""",
}


@pytest.mark.parametrize("inside", ["function", "tabs"])
@pytest.mark.parametrize("name", CHEATS)
def test_who_cheats_passes_nothing(pool: Pool, name: str, inside: Inside) -> None:
    scorer = ContestScorer("contest", cpu_s=2.0, inside=inside)
    assert outcome(pool, CHEATS[name], SUM, scorer) != "passed"
    assert outcome(pool, RIGHT, SUM, scorer) == "passed", "the next one is none the worse for it"


WRITE = """import os
for fd in range(3, 50):
    try: os.write(fd, b'{"loaded": true}\\n' + b'{"value": 7}\\n' * 3)
    except OSError: pass
"""
METHOD_CHEATS = {
    "equal to all": solution("return type('E', (), {'__eq__': lambda s, o: True})()"),
    "answers of its own, and no more": f"{WRITE}os._exit(0)\n{solution('return 7')}",
    "answers of its own, and then its own": WRITE + solution("return 7"),
    "answers at its end": "import atexit, os\natexit.register(os.write, 3, b'{\"value\": 7}\\n')\n"
    + solution("return 0"),
    "another function that asks": solution("global qceval_asks; qceval_asks = None; return 7"),
    "another form of answers": "import sys\nsys.modules['calls'].line_of = lambda *a: b'7'\n" + solution("return 7"),
    "leaves": "import os\nos._exit(0)\n" + solution("return 7"),
    "the first answer for all": solution("return 7"),
}


@pytest.mark.parametrize("name", METHOD_CHEATS)
def test_who_cheats_with_a_method_passes_nothing(pool: Pool, name: str) -> None:
    tests = [("[3, 4]", "7"), ("[10, -1]", "9"), ("[1, 1]", "2")]
    assert outcome(pool, METHOD_CHEATS[name], tests, method="f") != "passed"
    assert outcome(pool, solution("return sum(x)"), tests, method="f") == "passed"


@pytest.mark.parametrize("name", ["right", "wrong", "loop"])
def test_honest_programs_where_they_are_isolated(pool: Pool, name: str) -> None:
    code, expected = {
        "right": (RIGHT, "passed"), "wrong": (READ + "print(a)", "wrong"), "loop": ("while True: pass", "timeout"),
    }[name]  # fmt: skip
    assert outcome(pool, code, SUM, ContestScorer("contest", cpu_s=0.5)) == expected


def test_memory_of_a_program_has_a_bound(pool: Pool) -> None:
    assert outcome(pool, "x = bytearray(1 << 40)\n" + RIGHT) == "out_of_memory"
    assert outcome(pool, RIGHT) == "passed"
