"""What is seen before the first score: nothing for a moment, then a line now and then."""

import io
import time

import pytest

from rmeval.commands.shared import progress


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        """Whether it is one."""
        return True


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    stream = io.StringIO()
    monkeypatch.setattr(progress, "behind", lambda _: stream)
    monkeypatch.setattr(progress, "LOG_SECONDS", 0.02)
    return stream


def test_a_step_that_lasts_is_told_in_a_log_and_escaped(log: io.StringIO) -> None:
    with progress.show_step("loading \x1b[2J"):
        time.sleep(0.1)
    lines = log.getvalue().splitlines()
    assert lines
    assert all(line.startswith("loading \\x1b[2J, ") for line in lines)


def test_a_short_or_quiet_one_and_that_of_another_process_are_not(
    log: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    with progress.show_step("loading"):
        pass
    with progress.show_step("loading", quiet=True):
        time.sleep(0.05)
    monkeypatch.setenv("RANK", "1")
    with progress.show_step("loading"):
        time.sleep(0.05)
    assert log.getvalue() == ""


def test_a_terminal_shows_it_while_it_lasts(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Terminal()
    monkeypatch.setattr(progress, "behind", lambda _: stream)
    with progress.show_step("loading"):
        pass
    assert "loading" in stream.getvalue()
