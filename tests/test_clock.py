"""Where a command's seconds go."""

import gc
import threading
import time

import pytest

from rmeval import clock
from rmeval.clock import describe_spent, importing, spending, spent


@pytest.fixture
def now(monkeypatch):
    """A clock that the test turns; returns what turns it."""
    time_is = [100.0]
    monkeypatch.setattr(time, "perf_counter", lambda: time_is[0])
    monkeypatch.setattr(clock, "STARTED", 100.0)
    monkeypatch.setattr(clock, "_spent", {})

    def turn(seconds):
        time_is[0] += seconds

    return turn


def test_a_part_within_another_counts_for_itself_alone(now):
    now(1)
    with spending("checks"):
        now(2)
        with spending("tokenising"):
            now(4)
            with spending("loading"):
                now(8)
        now(16)
    with spending("tokenising"):
        now(32)
    now(64)
    assert spent() == {"checks": 18, "tokenising": 36, "loading": 8, "the rest": 65}


def test_what_fails_is_counted_too(now):
    @spending("checks")
    def fail():
        now(3)
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        fail()
    assert spent()["checks"] == 3


def test_another_thread_takes_no_time_of_the_commands(now):
    def hash_it():
        with spending("hashing"):
            now(5)

    with spending("checks"):
        thread = threading.Thread(target=hash_it)
        thread.start()
        thread.join()
    assert spent() == {"checks": 5, "the rest": 0}


def test_the_share_that_is_not_scoring_is_said_with_its_largest_part_first():
    seconds = {"scoring": 15.0, "loading": 1.25, "importing": 3.5, "the rest": 0.25}
    assert describe_spent(seconds) == (
        "20.0 s in all; 25% is not scoring: importing 3.5, loading 1.2, the rest 0.2"
    )


@pytest.mark.parametrize("enabled", [True, False])
def test_garbage_is_not_looked_for_during_imports_and_as_before_after_them(enabled):
    before = gc.isenabled()
    try:
        (gc.enable if enabled else gc.disable)()
        with importing():
            assert not gc.isenabled()
        assert gc.isenabled() == enabled
    finally:
        (gc.enable if before else gc.disable)()
