"""Run inside a sandbox, beside sandbox/query.py: what two SQL queries take, one after the other.

``times`` is called by the agent (sandbox/calls.py). Time is CPU time of the process from handing the query over to its
last row; opening the database is not in it (bird-bench/mini_dev at 4d970a9, evaluation_ves.py, which takes the time of
the clock on the wall).
"""

import time

from query import RESULT_ROWS, opened


def times(database, gold, answer, seconds, repeats, total):
    """Pairs of CPU seconds, gold and answer: ``repeats`` of them, or as many as begin within ``total``; one at least.

    Both run once before, so that what they read is in memory. Raises what SQLite raises, also where a query takes more
    than ``seconds``.
    """
    ends = time.process_time() + total
    taken(database, answer, seconds)
    taken(database, gold, seconds)
    pairs = []
    while not pairs or (len(pairs) < repeats and time.process_time() < ends):
        answer_s = taken(database, answer, seconds)
        pairs.append((taken(database, gold, seconds), answer_s))
    return pairs


def taken(database, query, seconds):
    ends = time.process_time() + seconds
    connection = opened(database, lambda: time.process_time() > ends)
    try:
        started = time.process_time()
        connection.execute(query).fetchmany(RESULT_ROWS)
        return time.process_time() - started
    finally:
        connection.close()
