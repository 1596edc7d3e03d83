"""The demonstration's own rewards, and conversations to score."""

from collections.abc import Sequence
from functools import cache
from threading import Lock

import pytest

import rmeval

_LOCK = Lock()


@cache
def demo() -> rmeval.RewardModel:
    return rmeval.load_model("demo", device="cpu", checks=False)


@cache
def reward(ids: tuple[int, ...]) -> float:
    with _LOCK:  # a network is for one thread, and the stub has many
        (found,) = demo().score_tokens([ids])
    return found


def talks(count: int) -> list[list[dict[str, str]]]:
    """Conversations of which no two are alike."""
    return [
        [
            {"role": "user", "content": f"What is {n} plus {n}?"},
            {"role": "assistant", "content": f"It is {2 * n}. " * (1 + n % 5)},
        ]
        for n in range(count)
    ]


def same(found: Sequence[float], wanted: Sequence[float]) -> bool:
    return list(found) == pytest.approx(list(wanted), abs=1e-5)
