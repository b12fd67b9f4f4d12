"""One program, compiled once and run on one standard input after the other: what every backend promises of that."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from qwencoder_eval.errors import SandboxError
from qwencoder_eval.types import Program, Result

if TYPE_CHECKING:
    from conftest import Place

ADD = "print(sum(map(int, input().split())))"


def always(number: int, result: Result) -> bool:
    return True


def printed(results: Sequence[Result]) -> list[tuple[str, int, str]]:
    return [(result.ending, result.status, bytes(result.stdout).decode()) for result in results]


def every(place: Place, program: Program, inputs: Sequence[str], goes_on: Callable[..., bool] = always) -> list[Any]:
    return printed(place.pool.run_each(program, inputs, goes_on))


@pytest.fixture(params=[True, False], ids=["script", "interpreter"])
def script(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def test_a_result_for_each_input(place: Place, script: bool) -> None:
    program = place.plain(ADD, script=script)
    found = every(place, program, ["1 2", "x", "30 40\n", ""])
    assert found == [("exit", 0, "3\n"), ("exit", 1, ""), ("exit", 0, "70\n"), ("exit", 1, "")]
    assert every(place, program, ["5 6"]) == [("exit", 0, "11\n")]


def test_the_host_looks_at_each_result_and_may_stop(place: Place, script: bool) -> None:
    seen: list[tuple[int, bytes]] = []

    def goes_on(number: int, result: Result) -> bool:
        seen.append((number, bytes(result.stdout)))
        return number < 1

    assert len(every(place, place.plain(ADD, script=script), ["1 1", "2 2", "3 3", "4 4"], goes_on)) == 2
    assert seen == [(0, b"2\n"), (1, b"4\n")]
    assert place.out("import os; print(os.listdir())") == "['main.py']\n"


def test_it_is_compiled_once(place: Place) -> None:
    with place.fresh(compile=("sh", "build.sh"), run=("sh", "main.py")) as sandbox:
        build = {"build.sh": "echo compiled >> log; echo built"}
        program = place.plain("cat log; cat; echo run >> log", files=build)
        found = printed(sandbox.run_each(program, ["a\n", "b\n", "c\n"], always))
        assert [out for *_, out in found] == [
            "compiled\na\n", "compiled\nrun\nb\n", "compiled\nrun\nrun\nc\n",
        ]  # fmt: skip
        refused = place.plain("echo never", files={"build.sh": "echo why >&2; exit 3"})
        (only,) = sandbox.run_each(refused, ["a", "b"], always)
        assert (only.ending, only.status, only.compiling, bytes(only.stderr)) == ("compile_error", 3, True, b"why\n")
        assert printed(sandbox.run_each(program, ["d\n"], always)) == [("exit", 0, "compiled\nd\n")]


def test_a_main_file_of_another_name(place: Place) -> None:
    program = Program("python", {"other.py": "import sys; print(sys.argv[0])"}, limits=place.limits(), main="other.py")
    assert printed([place.run(program)]) == [("exit", 0, "other.py\n")]
    assert every(place, replace(program, script=True), ["", ""]) == [("exit", 0, "other.py\n")] * 2


def test_each_run_has_its_own_limits(place: Place, script: bool) -> None:
    source = "kind = input()\nif kind == 'burn':\n    while True: pass\nprint('x' * (9999 if kind == 'much' else 1))"
    program = place.plain(source, place.limits(0.3, output_bytes=100), script=script)
    found = place.pool.run_each(program, ["one", "much", "burn", "one"], always)
    assert [result.ending for result in found] == ["exit", "exit", "cpu_limit", "exit"]
    assert [len(result.stdout) for result in found] == [2, 100, 0, 2]
    assert all(result.timed_out == (result.ending == "cpu_limit") for result in found)


def test_modules_and_globals_do_not_stay_from_run_to_run(place: Place, script: bool) -> None:
    source = "import math\nprint(math.pi > 3, 'left' in globals())\nmath.pi, left = 0, 1"
    assert every(place, place.plain(source, script=script), ["", ""]) == [("exit", 0, "True False\n")] * 2


def test_files_stay_for_the_program_itself_and_for_nobody_else(place: Place) -> None:
    source = "import os\nprint(sorted(os.listdir()))\nopen(input(), 'w').write('x')"
    folders = [["main.py"], ["a", "main.py"], ["a", "b", "main.py"]]
    found = every(place, place.plain(source), ["a", "b", "c"])
    assert found == [("exit", 0, f"{folder}\n") for folder in folders]
    assert every(place, place.plain(source), ["d"]) == [("exit", 0, "['main.py']\n")]


# -- programs that harm their own place ----------------------------------------------------------------


DAMAGE = {
    "its folder is gone": "import os, shutil\nshutil.rmtree(os.getcwd(), ignore_errors=True)",
    "its folder has another name": "import os\nhere = os.getcwd()\nos.rename(here, here + '-away')",
    "its folder is a file": "import os\nhere = os.getcwd()\nos.rename(here, here + '-away')\nopen(here, 'w')",
    "its folder is closed to it": "import os\nos.chmod(os.getcwd(), 0)",
    "its folder is a link to itself": "import os\nx = os.getcwd()\nos.rename(x, x + '-away')\nos.symlink(x, x)",
    "its folder is a link elsewhere": "import os\nx = os.getcwd()\nos.rename(x, x + '-away')\nos.symlink('/proc/1', x)",
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_place_that_was_damaged_is_its_own_fault(isolated: Place, script: bool, damage: str) -> None:
    program = isolated.plain(f"print(input(), flush=True)\n{damage}", script=script)
    first, *others = every(isolated, program, ["1", "2", "3"])
    assert first[2] == "1\n"
    assert len(others) == 2
    assert all(ending in ("exit", "signal") for ending, *_ in others)
    isolated.neighbour(survived=False)


def test_a_compiled_program_that_is_gone_or_another(isolated: Place) -> None:
    with isolated.fresh(compile=("sh", "-c", "cp main.py built; chmod +x built"), run=("./built",)) as sandbox:

        def run(source: str) -> list[tuple[str, int, str]]:
            return printed(sandbox.run_each(isolated.plain(f"#!/bin/sh\n{source}\n"), ["1", "2", "3"], always))

        assert run("cat; rm built") == [("exit", 0, "1"), ("exit", 70, ""), ("exit", 70, "")]
        assert run("cat; chmod 0 built") == [("exit", 0, "1"), ("exit", 70, ""), ("exit", 70, "")]
        other = "cat; printf '#!/bin/sh\\necho other\\n' >new; chmod +x new; mv new built"
        assert run(other) == [("exit", 0, "1"), ("exit", 0, "other\n"), ("exit", 0, "other\n")]
        assert run("cat") == [("exit", 0, "1"), ("exit", 0, "2"), ("exit", 0, "3")]


STAYS = "import os, time\nprint(input(), len([x for x in os.listdir('/proc') if x.isdigit()]), flush=True)\n"
STAYS += "if os.fork() == 0:\n    os.setsid()\n    time.sleep(600)"


def test_processes_do_not_stay(isolated: Place, script: bool) -> None:
    found = every(isolated, isolated.plain(STAYS, script=script), ["1", "2", "3"])
    assert [(ending, status) for ending, status, _ in found] == [("exit", 0)] * 3
    assert [out.split()[0] for *_, out in found] == ["1", "2", "3"]
    assert len({out.split()[1] for *_, out in found}) == 1  # as many as the first run saw
    isolated.neighbour()


FILL = """
for name in 'abcdefgh':
    try:
        with open(name, 'wb') as file:
            while True: file.write(bytes(1 << 20))
    except OSError: pass
print(input())
"""


def test_a_disk_that_was_filled(isolated: Place, script: bool) -> None:
    bound = isolated.limits(10, 30)
    found = every(isolated, isolated.plain(f"import signal\nsignal.signal(25, 1)\n{FILL}", bound, script=script), "12")
    assert [(ending, status) for ending, status, _ in found] == [("exit", 0)] * 2
    isolated.neighbour()


def test_a_sandbox_that_died_begins_anew(place: Place) -> None:
    calls: list[int] = []

    def goes_on(number: int, result: Result) -> bool:
        calls.append(number)
        if calls == [0]:
            place.kill_agent(next(each for each in place.made if each.channel is not None))
        return True

    assert every(place, place.plain(ADD), ["1 1", "2 2"], goes_on) == [("exit", 0, "2\n"), ("exit", 0, "4\n")]
    assert calls == [0, 0]


def test_a_sandbox_that_is_not_running(place: Place) -> None:
    with place.fresh() as sandbox:
        sandbox.stop()
        with pytest.raises(SandboxError, match="not running"):
            sandbox.run_each(place.plain(ADD), ["1"], always)
