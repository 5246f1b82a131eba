"""The live benchmark counts what each client got, each event once."""

from __future__ import annotations

from tests.bench.live import Log


def log_of(*seqs: int) -> Log:
    log = Log([])
    log.committed = {("a", seq): 10.0 for seq in seqs}
    return log


def test_a_frame_that_comes_twice_does_not_stand_for_one_that_is_missing():
    found = {"seen": [["a", [(1, 10.1), (1, 10.2)]], ["a", [(1, 10.1), (2, 10.3)]]]}
    delivered = log_of(1, 2).delivered(found)
    assert [round(delay) for delay in delivered.delays] == [100, 100, 300]
    assert delivered.repeated == 1


def test_events_from_before_are_not_counted():
    delivered = log_of(2).delivered({"seen": [["a", [(1, 9.0), (2, 10.1)]]]})
    assert [round(delay) for delay in delivered.delays] == [100]
    assert delivered.repeated == 0
