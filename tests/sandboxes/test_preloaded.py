"""Libraries that an agent imports before its first program: BigCodeBench's, in its image alone."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from collections.abc import Iterator

import pytest
from test_languages import Kept, ended, keeping, program

from qwencoder_eval.sandboxes.docker import DockerBackend
from qwencoder_eval.sandboxes.languages import languages
from qwencoder_eval.types import Limits, Program, Result, Suite

pytestmark = pytest.mark.docker
NAME = "python-bigcodebench"
WORD = "5e6f" * 8


@pytest.fixture(scope="module")
def docker() -> Iterator[Kept]:
    with keeping(DockerBackend()) as kept:
        yield kept


def beside(test: str, source: str) -> Program:
    """A program and one test."""
    head = "import unittest\nclass TestCases(unittest.TestCase):\n    def test_it(self):\n"
    tests = head + textwrap.indent(textwrap.dedent(test).strip(), " " * 8)
    return Program(NAME, {"main.py": source}, limits=Limits(20.0), suite=Suite(tests + "\n", WORD))


def passes(docker: Kept, test: str, source: str = "import os, sys") -> Result:
    result = docker.run(beside(test, source))
    assert ended(result) == ("exit", 0)
    assert bytes(result.answers).partition(b"\n")[2] == WORD.encode(), result
    return result


def test_its_three_programs() -> None:
    """``passes`` computes with numpy and pandas, ``fails`` with numpy."""
    command = [sys.executable, "-m", "qwencoder_eval", "sandbox", "test", NAME, "--sandbox", "docker", "--json"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    found = {(line["language"], line["fixture"]): line["ok"] for line in json.loads(ran.stdout)}
    assert found == {(NAME, fixture): True for fixture in ("passes", "fails", "broken")}


def test_libraries_are_there_at_once(docker: Kept) -> None:
    wanted = languages()[NAME].preload
    assert {"numpy", "pandas", "matplotlib.pyplot", "sklearn.linear_model", "scipy.stats", "requests"} <= set(wanted)
    first = f"import sys\nloaded = set(sys.modules)\nmissing = set({list(wanted)}) - loaded\n"
    result = passes(docker, 'self.assertEqual((missing, "tensorflow" in loaded), (set(), False))', first)
    assert result.cpu_s < 1  # importing them takes several seconds


def test_one_thread_and_no_more(docker: Kept) -> None:
    """Threads do not survive a fork: a library that has some would wait for them for ever."""
    several = """
        import threading
        self.assertEqual(threading.active_count(), 1)
        self.assertEqual(len(os.listdir("/proc/self/task")), 1)
        import numpy as np
        from sklearn.cluster import KMeans
        square = np.random.rand(300, 300)
        self.assertEqual((square @ np.linalg.inv(square)).shape, (300, 300))
        KMeans(n_clusters=2, n_init=1).fit(square)
        self.assertEqual(len(os.listdir("/proc/self/task")), 1)
    """
    passes(docker, several)


def test_it_starts_with_nothing_around(docker: Kept) -> None:
    """Libraries make folders when they are imported; nothing of that stays, and nothing is missed."""
    clean = """
        places = {place: os.listdir(place) for place in ("/tmp", "/dev/shm", "/var/tmp", ".")}
        self.assertEqual(places, {"/tmp": ["work"], "/dev/shm": [], "/var/tmp": [], ".": ["main.py"]})
    """
    draws = """
        import matplotlib, matplotlib.pyplot as plt
        self.assertEqual(matplotlib.get_backend().lower(), "agg")
        figure, axes = plt.subplots()
        axes.plot([1, 2])
        axes.set_title("é")
        figure.savefig("a.png")
        self.assertGreater(os.path.getsize("a.png"), 1000)
    """
    for _ in range(2):
        passes(docker, clean)
        passes(docker, draws)


def test_environment(docker: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    expected = {
        "HOME": "/tmp/work", "LANG": "C.UTF-8", "TZ": "UTC", "PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1",
        **languages()[NAME].environment,
    }  # fmt: skip
    assert {"TF_CPP_MIN_LOG_LEVEL", "TF_ENABLE_ONEDNN_OPTS"} <= set(expected)
    known = f"""
        found = dict(os.environ)
        self.assertTrue(found.pop("PATH"))
        self.assertEqual(found, {expected})
        import time
        self.assertEqual((time.tzname[0], time.localtime(0).tm_hour), ("UTC", 0))
    """
    passes(docker, known)


POISON = """
import matplotlib, numpy as np, os, pandas as pd, random, requests, sklearn, sys, warnings
np.sum = np.linalg.norm = pd.DataFrame.sum = pd.read_csv = requests.get = lambda *a, **k: "poison"
np.poison = pd.poison = sklearn.poison = 1
np.random.seed(1)
np.set_printoptions(precision=1)
pd.options.display.max_rows = 3
matplotlib.rcParams["lines.linewidth"] = 77
matplotlib.pyplot.figure(77)
warnings.simplefilter("error")
sys.modules["pandas"] = None
def f(): return 1
"""
UNHARMED = """
import matplotlib.pyplot as plt, numpy as np, pandas as pd, requests, sklearn, warnings
self.assertEqual((np.sum([1, 2]), np.linalg.norm([3, 4]), pd.DataFrame({"x": [1, 2]}).sum()["x"]), (3, 5, 3))
self.assertFalse([each for each in (np, pd, sklearn) if hasattr(each, "poison")])
self.assertNotIn("<lambda>", (pd.read_csv.__name__, requests.get.__name__))
self.assertEqual((np.get_printoptions()["precision"], pd.options.display.max_rows), (8, 60))
self.assertNotEqual(plt.rcParams["lines.linewidth"], 77)
self.assertEqual(plt.get_fignums(), [])
warnings.warn("no error")
"""


def test_a_poisoned_library_is_that_of_one_program(docker: Kept) -> None:
    passes(docker, UNHARMED)
    sandbox = docker.made(NAME)[-1]
    for _ in range(2):
        passes(docker, "self.assertEqual(f(), 1)", POISON)
        passes(docker, UNHARMED)
    assert docker.made(NAME)[-1] is sandbox


def test_a_program_of_its_own_process_starts_anew(docker: Kept) -> None:
    result = docker.run(program(NAME, "import sys; print('numpy' in sys.modules, sys.version_info[:2])"))
    assert (ended(result), bytes(result.stdout)) == (("exit", 0), b"False (3, 9)\n")


def test_a_program_that_takes_all_memory_leaves_the_libraries(docker: Kept) -> None:
    passes(docker, UNHARMED)
    sandbox = docker.made(NAME)[-1]
    hog = beside("f()", "def f():\n    a = []\n    while True: a.append(bytearray(1 << 24))")
    result = docker.run(hog)
    assert (result.ending, result.status, result.answers) == ("memory_limit", 9, b"")
    passes(docker, UNHARMED)
    assert docker.made(NAME)[-1] is sandbox


def test_tensorflow_is_left_to_the_programs_that_import_it(docker: Kept) -> None:
    passes(docker, "import tensorflow as tf\nself.assertEqual(tf.constant([1, 2]).numpy().sum(), 3)")


def test_warnings_are_ignored_as_everywhere(docker: Kept) -> None:
    """Python ignores DeprecationWarning outside of ``__main__``, and libraries add filters of their own."""
    recorded = """
        import warnings
        with warnings.catch_warnings(record=True) as seen:
            warnings.warn("old", DeprecationWarning)
        self.assertEqual(seen, [])
    """
    passes(docker, recorded)
