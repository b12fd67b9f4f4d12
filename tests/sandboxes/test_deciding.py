"""The host may end a program whose answers so far are enough; and what a fixed hash seed gives."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from conftest import Place

from qwencoder_eval.sandboxes.pool import Pool

BUSY = (
    "import time\n"
    "def f(x):\n    end = time.process_time() + x\n    while time.process_time() < end: pass\n    return x\n"
)
FOREVER = "def f(x):\n    while x:\n        pass\n    return x\n"


def test_a_program_is_ended_when_its_answers_are_enough(place: Place) -> None:
    program = place.asking(FOREVER, [[0], [0], [1]], place.limits(20, 60), [20, 20, 20])
    result = place.pool.run(program, lambda answers: answers.count(b"\n") == 3)
    assert result.ending == "stopped"
    assert not result.timed_out
    assert result.cpu_s < 5
    assert place.lines(result)[1:] == [{"value": 0}, {"value": 0}]
    if place.isolated:
        place.neighbour()


def test_answers_are_shown_whole_from_the_start_and_seldom(place: Place) -> None:
    shown: list[bytes] = []

    def decided(answers: bytes | bytearray) -> bool:
        shown.append(bytes(answers))
        return False

    result = place.pool.run(place.asking(BUSY, [[0.002]] * 300), decided)
    assert result.ending == "exit"
    assert len(place.lines(result)) == 301
    assert 1 <= len(shown) <= 12  # at times that double
    assert all(bytes(result.answers).startswith(part) for part in shown)
    assert shown == sorted(shown, key=len)
    assert len(set(shown)) == len(shown)


def test_nothing_is_shown_of_a_quick_program_or_to_nobody(place: Place) -> None:
    quick = place.asking("def f(x): return x", [[1]])
    assert place.pool.run(quick, lambda answers: pytest.fail("shown")).ending == "exit"
    forever = place.asking(FOREVER, [[0], [1]], place.limits(0.5, 20), [5, 0.3])
    assert place.pool.run(forever).ending == "cpu_limit"


def test_a_word_that_comes_too_late_disturbs_nobody(place: Place) -> None:
    """The program may end while the host says stop: whoever is faster, the next one is not harmed."""
    endings = set()
    for number in range(40):
        inputs = [[0.021 + number % 10 / 2000], [0.001]]
        result = place.pool.run(place.asking(BUSY, inputs), lambda answers: True)
        endings.add(result.ending)
        assert result.ending in ("exit", "stopped")
        assert place.call("def f(x): return x + 1", number) == number + 1
    assert "stopped" in endings


def test_a_fault_of_the_judge_reaches_the_caller_and_no_neighbour(place: Place) -> None:
    def broken(answers: bytes | bytearray) -> bool:
        raise LookupError("a fault in the comparison")

    with pytest.raises(LookupError):
        place.pool.run(place.asking(FOREVER, [[0], [1]], place.limits(20, 60), [20, 20]), broken)
    assert place.call("def f(x): return x", 7) == 7


def test_the_order_of_a_set_of_strings_is_that_of_the_seed(place: Place) -> None:
    source = "import os\ndef f(x): return [list(set('abcdefgh')), os.environ['PYTHONHASHSEED']]"
    orders: dict[int, list[Any]] = {}
    for seed in (0, 1):
        with Pool(place, 1, seed) as pool:
            for _ in range(2):
                answer = place.lines(pool.run(place.asking(source, [[0]])))[1]["value"]
                assert orders.setdefault(seed, answer) == answer
    assert [orders[seed][1] for seed in (0, 1)] == ["0", "1"]
    assert orders[0][0] != orders[1][0]


def test_long_answers_travel_as_a_digest(place: Place) -> None:
    long = place.lines(place.run(place.asking("def f(x): return list(range(x))", [[100], [1000]], whole_bytes=1000)))
    assert long[1] == {"value": list(range(100))}
    assert set(long[2]) == {"size", "digest", "plain"}
    assert long[2]["size"] == len('{"value": }') + len(str(list(range(1000))))
    assert long[2]["plain"] is True


def test_threads_share_a_pool_without_mixing_their_answers(place: Place) -> None:
    wrong: list[Any] = []

    def work(number: int, pool: Pool) -> None:
        for step in range(10):
            result = pool.run(place.asking("def f(x): return x", [[number], [step]]), lambda answers: False)
            if place.lines(result)[1:] != [{"value": number}, {"value": step}]:
                wrong.append(result)

    with Pool(place, 2) as pool:
        threads = [threading.Thread(target=work, args=(number, pool)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert wrong == []
