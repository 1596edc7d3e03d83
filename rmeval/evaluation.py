"""A model on a benchmark: every response scored once, then the numbers made from the scores."""

import json
import platform
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rmeval import __version__
from rmeval.benchmarks import Benchmark
from rmeval.duels import SERVER, Judge, scored_row
from rmeval.errors import BadConversation, BadOption, BadReward
from rmeval.metrics.statistics import describe_scores
from rmeval.results import prepare_folder, run_folder, spare_whole_result, write_result
from rmeval.types import OnProgress, Preference, Result, ScoredPreference

if TYPE_CHECKING:
    from rmeval.engine.store import ScoreStore
    from rmeval.engine.workers import Workers
    from rmeval.models.reward_model import RewardModel

SCORING_KEYS = ("engine", "versions", "python")
PACKAGES = ("torch", "transformers", "tokenizers", "accelerate", "safetensors")


def evaluate(
    model: "RewardModel | Judge",
    benchmark: Benchmark,
    *,
    weighting: str | None = None,
    limit: int | None = None,
    output: str | Path | None = None,
    fresh: bool = False,
    checks: str = "not made",
    workers: "Workers | None" = None,
    on_progress: OnProgress | None = None,
) -> Result:
    """Scores every response of a benchmark and aggregates.

    Args:
        weighting: how subsets make a section; None is the benchmark's default.
        limit: score only this many rows, evenly spread; the result is marked partial.
        output: where to keep scores and result, see `rmeval.results`; an interrupted run that
            is started again with the same output goes on where it stopped. None keeps nothing.
        fresh: drop what an interrupted run with this output kept.
        checks: how the model's checks went, for the result's provenance.
        workers: this process's place among those that share the run (`join_workers`).
        on_progress: called after every forward pass.

    Raises:
        BadReward: a NaN or infinite reward; the message names the preference.
        RmevalError: its other kinds, for what else a user can mend.
    """
    weighting = benchmark.scheme.check_weighting(weighting)
    benchmark = benchmark if limit is None else benchmark.limited(limit)
    started, provenance = datetime.now(UTC), scoring_provenance(model)
    folder = None if output is None else _prepare(Path(output), model, benchmark)
    if folder is None and workers is not None and workers.count > 1:
        raise BadOption("several processes share a run through its output folder: pass one")
    store: AbstractContextManager[ScoreStore | None] = nullcontext()
    if folder is not None:
        store = closing(open_store(folder, provenance, workers=workers, fresh=fresh))
    with store as kept:
        scored = score_preferences(
            model, benchmark.preferences, store=kept, workers=workers, on_progress=on_progress
        )
    benchmark = benchmark.without_refused({item.id for item in scored})
    provenance |= {"checks": checks, "data": benchmark.provenance(), **timing(started)}
    if isinstance(model, Judge):
        provenance["account"] = model.account()
    else:
        provenance["warnings"] = list(model.warnings)
    result = _describe(benchmark, scored, weighting, provenance)
    if folder is None or (workers is not None and workers.rank > 0):
        return replace(result, folder=folder)
    return _keep(result, folder, model)


def _describe(
    benchmark: Benchmark,
    scored: tuple[ScoredPreference, ...],
    weighting: str,
    provenance: dict[str, Any],
) -> Result:
    return Result(
        benchmark=benchmark.name,
        definition=benchmark.definition,
        model=provenance["model"]["name"],
        weighting=weighting,
        metrics=describe_scores(benchmark.scheme, scored, weighting),
        scored=scored,
        partial=benchmark.partial,
        provenance=provenance,
    )


def _keep(result: Result, folder: Path, model: "RewardModel | Judge") -> Result:
    """Writes a result; what became partial on the way never replaces a whole one."""
    folder = prepare_folder(spare_whole_result(folder, result.partial))
    if isinstance(model, Judge):
        model.keep_answers(folder)
    write_result(folder, result)
    return replace(result, folder=folder)


def _prepare(output: Path, model: "RewardModel | Judge", benchmark: Benchmark) -> Path:
    label = "-".join(filter(None, [model.revision_asked, model.variant]))
    folder = run_folder(output, benchmark.name, model.name, label or None)
    return prepare_folder(spare_whole_result(folder, benchmark.partial))


def timing(started: datetime) -> dict[str, Any]:
    """Returns when a result was begun, and how many seconds it has taken until now."""
    seconds = (datetime.now(UTC) - started).total_seconds()
    return {"started": started.isoformat(timespec="seconds"), "seconds": round(seconds, 3)}


def score_preferences(
    model: "RewardModel | Judge",
    preferences: Sequence[Preference],
    *,
    store: "ScoreStore | None" = None,
    workers: "Workers | None" = None,
    on_progress: OnProgress | None = None,
) -> tuple[ScoredPreference, ...]:
    """Returns every preference with the scores of its responses, both in their own order.

    Raises BadReward or BadConversation, naming the preference and the response.
    """
    if isinstance(model, Judge):
        return model.score_preferences(
            preferences, store=store, workers=workers, on_progress=on_progress
        )
    conversations = [c for preference in preferences for c in preference.conversations()]
    try:
        scores = model.score_conversations(
            conversations, store=store, workers=workers, on_progress=on_progress
        )
    except (BadReward, BadConversation) as error:
        raise error.at(_name_response(preferences, error.index)) from error
    remaining = iter(scores)
    return tuple(
        scored_row(preference, [next(remaining) for _ in preference.responses])
        for preference in preferences
    )


def _name_response(preferences: Sequence[Preference], index: int) -> str:
    """Returns which response the conversation at `index` was, in words."""
    for preference in preferences:
        if index < len(preference.responses):
            kind = "chosen" if index < preference.num_chosen else "rejected"
            return f"preference {preference.id} ({preference.subset}), {kind} response"
        index -= len(preference.responses)
    raise IndexError(index)


def scoring_provenance(model: "RewardModel | Judge") -> dict[str, Any]:
    """Returns everything that a reward depends on besides its tokens."""
    return {
        "model": {**model.provenance(), "name": _shown_name(model)},
        "engine": model.engine_provenance(),
        "versions": {"rmeval": __version__, **{name: version(name) for name in PACKAGES}},
        "python": platform.python_version(),
    }


def _shown_name(model: "RewardModel | Judge") -> str:
    return f"{model.name}@{model.variant}" if model.variant else model.name


def open_store(
    folder: Path,
    provenance: Mapping[str, Any],
    *,
    workers: "Workers | None" = None,
    fresh: bool = False,
) -> "ScoreStore":
    """Opens the store of a run; its key is `scoring_provenance`, whatever the model is called.

    Each of several workers writes a part of its own. Raises OutputFailure.
    """
    from rmeval.engine.store import ScoreStore, drop_store
    from rmeval.engine.workers import Workers

    workers, settings = workers or Workers(), store_settings(provenance)
    workers.agree((), json.dumps(settings, sort_keys=True))
    if fresh and workers.rank == 0:
        drop_store(folder / "store", settings)
    workers.wait()
    return ScoreStore(folder / "store", settings, part=workers.rank)


def store_settings(provenance: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what of a provenance is the key of a store, whatever the model is called.

    What a server answered does not depend on the libraries here, nor on its address.
    """
    keys = () if provenance["engine"]["path"] == SERVER else SCORING_KEYS
    return {**{key: provenance[key] for key in keys}, "model": _unnamed(provenance["model"])}


def _unnamed(model: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what is known of a model, and of those that it holds, but what they are called."""
    return {
        key: _unnamed(value) if isinstance(value, dict) else value
        for key, value in model.items()
        if key != "name"
    }
