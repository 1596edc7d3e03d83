"""What a check of a model says, and what many of them say together."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

Status = Literal["pass", "warn", "fail", "skipped"]
SEVERITY: dict[Status, int] = {"skipped": 0, "pass": 1, "warn": 2, "fail": 3}


@dataclass(frozen=True, slots=True)
class Check:
    """How one check went: what was found, and what to do about it, each in one line.

    `skipped` is what could not be asked of this model; the finding says why. `advice` is empty
    where there is nothing to do.
    """

    name: str
    status: Status
    finding: str
    advice: str = ""


def worst_of(checks: Iterable[Check]) -> list[Check]:
    """Returns each check once, as it went worst, in the order of first appearance."""
    found: dict[str, Check] = {}
    for check in checks:
        if check.name not in found or SEVERITY[check.status] > SEVERITY[found[check.name].status]:
            found[check.name] = check
    return list(found.values())


def is_healthy(checks: Sequence[Check]) -> bool:
    """Whether no check failed; warnings leave a model fit."""
    return all(check.status != "fail" for check in checks)


def verdict(checks: Sequence[Check]) -> str:
    """Returns what the checks come to, in one line."""
    failed = [check.name for check in checks if check.status == "fail"]
    if failed:
        return f"not fit to run: {', '.join(failed)}"
    warnings = sum(check.status == "warn" for check in checks)
    if warnings:
        return f"fit to run, with {warnings} warning{'s' if warnings > 1 else ''}"
    return "fit to run"
