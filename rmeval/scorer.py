"""Who can be evaluated: whatever gives conversations rewards, or says which response is better.

A `Scorer` is any object with a `name`, a `provenance()` and one of the two methods below; nothing
is inherited or registered. docs/scorers.md has a whole one, and what else it may have.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, runtime_checkable

from rmeval.duels import UNKNOWN
from rmeval.records import Conversation, OnProgress, Preference, Score, ScoredPreference

if TYPE_CHECKING:
    from rmeval.engine.store import ScoreStore
    from rmeval.engine.workers import Workers

OWN = "own"  # the family of a scorer that names none, and the path of its engine


@runtime_checkable
class RewardScorer(Protocol):
    """Gives each conversation a reward, as `rmeval.RewardModel` does."""

    @property
    def name(self) -> str:
        """What it is called: NAME or organisation/name."""

    def provenance(self) -> Mapping[str, Any]:
        """Returns all that its rewards depend on, as JSON can hold it.

        `family`, `dtype` and `fingerprint` are known by these names; without the last, it is a hash
        of the others.
        """

    def score_conversations(
        self,
        conversations: Sequence[Conversation],
        *,
        store: "ScoreStore | None" = None,
        workers: "Workers | None" = None,
        on_progress: OnProgress | None = None,
    ) -> Sequence[Score]:
        """Returns the score of each conversation, in order.

        It may keep finished work in `store`, share it among `workers`, and say how far it is.
        """


@runtime_checkable
class PreferenceScorer(Protocol):
    """Compares the responses of a row, as `rmeval.PairwiseModel` and judges do."""

    @property
    def name(self) -> str:
        """What it is called: NAME or organisation/name."""

    def provenance(self) -> Mapping[str, Any]:
        """Returns all that its verdicts depend on; see `RewardScorer.provenance`."""

    def score_preferences(
        self,
        preferences: Sequence[Preference],
        *,
        store: "ScoreStore | None" = None,
        workers: "Workers | None" = None,
        on_progress: OnProgress | None = None,
    ) -> Sequence[ScoredPreference]:
        """Returns the rows with their scores, in order, without those that it cannot be asked."""


Scorer: TypeAlias = RewardScorer | PreferenceScorer


def shown_name(model: Scorer) -> str:
    """Returns a scorer's name with its variant, which tells its results from others of its name."""
    variant = getattr(model, "variant", None)
    return f"{model.name}@{variant}" if variant else model.name


def folder_label(model: Scorer) -> str | None:
    """Returns what stands behind a scorer's name in that of its results' folder."""
    told = (getattr(model, part, None) for part in ("revision_asked", "variant"))
    return "-".join(filter(None, told)) or None


def model_provenance(model: Scorer) -> dict[str, Any]:
    """Returns what a scorer says of itself, and what every reader of a provenance counts on."""
    said = dict(model.provenance())
    content = json.dumps([model.name, said], sort_keys=True, default=str)
    usual = {
        "fingerprint": hashlib.sha256(content.encode()).hexdigest(),
        "family": OWN,
        "dtype": UNKNOWN,
    }
    return {**usual, **said, "name": shown_name(model)}


def kind_of(model: Scorer) -> str:
    """Returns what tables call a scorer: a sequence classifier, DPO, generative, …"""
    kind: str = getattr(model, "kind", "own scorer")
    return kind


def engine_provenance(model: Scorer) -> dict[str, Any]:
    """Returns how its scores are computed, and where, as far as it says."""
    tell = getattr(model, "engine_provenance", dict)
    return {"path": OWN, "reason": None, "device": UNKNOWN, **tell()}


def told_after(model: Scorer) -> dict[str, Any]:
    """Returns what scoring took, such as a judge's tokens, or what was found that is no error."""
    if hasattr(model, "account"):
        return {"account": model.account()}
    told: dict[str, Any] = {"warnings": list(getattr(model, "warnings", ()))}
    findings = [asdict(check) for check in getattr(model, "checks_made", ())]
    return {**told, "findings": findings} if findings else told


def files_beside(model: Scorer) -> dict[str, str]:
    """Returns the files to stand beside the result, such as a judge's answers, by name."""
    answered: dict[str, str] = getattr(model, "answers_kept", dict)()
    return answered


def examine(model: Scorer, preferences: Sequence[Preference]) -> str:
    """Makes a scorer's own checks on rows, where it has any, and returns how they went.

    Raises BadCheckpoint for one that is not fit.
    """
    checked: str = model.examine(preferences) if hasattr(model, "examine") else "not made"
    return checked
