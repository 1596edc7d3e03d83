"""A model on a benchmark: every response scored once, then the numbers made from the scores."""

import logging
import platform
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from rmeval import __version__
from rmeval.benchmarks import Benchmark
from rmeval.clock import SCORING, spending
from rmeval.duels import SERVER, scored_row
from rmeval.errors import BadConversation, BadData, BadOption, BadReward
from rmeval.files import prepare_folder
from rmeval.metrics.disguises import DISGUISES, disguises_of, rows_to_disguise
from rmeval.metrics.summary import describe_scores
from rmeval.notebook import notebook_progress
from rmeval.records import (
    Disguised,
    OnProgress,
    Preference,
    Result,
    Score,
    ScoredPreference,
    as_message,
)
from rmeval.results.files import claim_of, find_place, run_folder, timing, unnamed, write_result
from rmeval.scorer import (
    RewardScorer,
    Scorer,
    engine_provenance,
    files_beside,
    folder_label,
    kind_of,
    model_provenance,
    told_after,
)

if TYPE_CHECKING:
    from rmeval.engine.store import ScoreStore
    from rmeval.engine.workers import Workers
    from rmeval.results.schema import Provenance

STORE = "store"  # the folder of a store, below that of its runs
OF_SAMPLES = ("votes", "objectives")  # of a judge: its answers do not depend on them
SCORING_KEYS = ("engine", "versions", "python")
PACKAGES = ("torch", "transformers", "tokenizers", "accelerate", "safetensors")
logger = logging.getLogger("rmeval")


def evaluate(
    model: Scorer,
    benchmark: Benchmark,
    *,
    weighting: str | None = None,
    limit: int | None = None,
    output: str | Path | None = None,
    fresh: bool = False,
    name: str | None = None,
    checks: str = "not made",
    disguises: int = 0,
    workers: "Workers | None" = None,
    on_progress: OnProgress | None = None,
) -> Result:
    """Scores every response of a benchmark and aggregates.

    Args:
        model: a loaded model, a judge, or an object of one's own: see `rmeval.Scorer`.
        weighting: how subsets make a section; None is the benchmark's default.
        limit: score only this many rows, evenly spread; the result is marked partial.
        output: where to keep scores and result, see `rmeval.results.files`; an interrupted run that
            is started again with the same output goes on where it stopped. None keeps nothing.
        fresh: drop what an interrupted run with this output kept.
        name: what the model is called where people read the result; by default as it was loaded.
        checks: how the model's checks went, for the result's provenance.
        disguises: score the rejected response of so many rows with flattery, padding, markdown, and
            cut in half too: how many verdicts turn is in the report.
        workers: this process's place among those that share the run (`join_workers`).
        on_progress: called after every forward pass; by default a notebook shows a bar.

    Raises:
        BadReward: a NaN or infinite reward; the message names the preference.
        RmevalError: its other kinds, for what else a user can mend.
    """
    weighting = benchmark.scheme.check_weighting(weighting)
    benchmark = benchmark if limit is None else benchmark.limited(limit)
    started, provenance = datetime.now(UTC), scoring_provenance(model, workers)
    if disguises and not isinstance(model, RewardScorer):
        raise BadOption(f"{model.name} gives no rewards: responses in disguise cannot be scored")
    _require_shared(output, workers)
    folder: Path | None = None
    store: AbstractContextManager[ScoreStore | None] = nullcontext()
    if output is not None:
        usual = _usual_folder(Path(output), model, benchmark)
        folder = _prepare(usual, provenance, benchmark, workers)
        store = closing(open_store(usual, provenance, workers=workers, fresh=fresh))
    with store as kept:
        how: Any = {"store": kept, "workers": workers}
        how["on_progress"] = on_progress or notebook_progress()
        scored = score_preferences(model, benchmark.preferences, **how)
        disguised = score_disguised(model, benchmark.preferences, scored, disguises, how)
    benchmark = benchmark.without_refused({item.id for item in scored})
    provenance |= {"kind": kind_of(model), "checks": checks, **timing(started)}
    provenance |= {"data": benchmark.provenance(), **told_after(model)}
    result = _describe(benchmark, scored, weighting, provenance)
    result = replace(result, name=name, disguised=disguised)
    if folder is None or (workers is not None and workers.rank > 0):
        return replace(result, folder=folder)
    return _keep(result, folder, model)


def _require_shared(output: str | Path | None, workers: "Workers | None") -> None:
    if output is None and workers is not None and workers.count > 1:
        raise BadOption("several processes share a run through its output folder: pass one")


@spending("statistics")
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
        provenance=cast("Provenance", provenance),
    )


def _usual_folder(output: Path, model: Scorer, benchmark: Benchmark) -> Path:
    return run_folder(output, benchmark.name, model.name, folder_label(model))


def _prepare(
    usual: Path,
    provenance: Mapping[str, Any],
    benchmark: Benchmark,
    workers: "Workers | None",
) -> Path:
    """Returns the folder of the result to come, which is made, beside what another has taken."""
    claim = claim_of(provenance, benchmark.preferences, benchmark.partial)
    folder, why = find_place(usual, claim)
    if why and (workers is None or workers.rank == 0):
        logger.warning(why)
    return prepare_folder(folder)


@spending("writing")
def _keep(result: Result, folder: Path, model: Scorer) -> Result:
    """Writes a result, beside what another run has written meanwhile."""
    place, why = find_place(folder, claim_of(result.provenance, result.scored, result.partial))
    if why:
        logger.warning(why)
    write_result(prepare_folder(place), result, files_beside(model))
    return replace(result, folder=place)


@spending(SCORING)
def score_preferences(
    model: Scorer,
    preferences: Sequence[Preference],
    *,
    store: "ScoreStore | None" = None,
    workers: "Workers | None" = None,
    on_progress: OnProgress | None = None,
) -> tuple[ScoredPreference, ...]:
    """Returns every preference with the scores of its responses, both in their own order.

    Raises BadReward or BadConversation, naming the preference and the response.
    """
    if not isinstance(model, RewardScorer):
        return tuple(
            model.score_preferences(
                preferences, store=store, workers=workers, on_progress=on_progress
            )
        )
    conversations = [c for preference in preferences for c in preference.conversations()]
    try:
        scores = model.score_conversations(
            conversations, store=store, workers=workers, on_progress=on_progress
        )
        _require_rewards(model.name, scores, len(conversations))
    except (BadReward, BadConversation) as error:
        raise error.at(_name_response(preferences, error.index)) from error
    remaining = iter(scores)
    return tuple(
        scored_row(preference, [next(remaining) for _ in preference.responses])
        for preference in preferences
    )


def score_disguised(
    model: Scorer,
    preferences: Sequence[Preference],
    scored: Sequence[ScoredPreference],
    count: int,
    how: Mapping[str, Any],
) -> tuple[Disguised, ...]:
    """Returns so many rows, evenly spread, with their rejected response scored in disguises.

    `how` is passed on to `score_conversations`. Raises BadReward, naming the preference.
    """
    if not count or not isinstance(model, RewardScorer):
        return ()
    places = rows_to_disguise(preferences, count)
    conversations = [
        (*item.prompt, as_message(reply))
        for item in map(preferences.__getitem__, places)
        for reply in disguises_of(item.responses[item.num_chosen])
    ]
    try:
        scores = model.score_conversations(conversations, **how)
        _require_rewards(model.name, scores, len(conversations))
    except (BadReward, BadConversation) as error:
        item = preferences[places[error.index // len(DISGUISES)]]
        raise error.at(f"preference {item.id} ({item.subset}), rejected in disguise") from error
    remaining = iter(scores)
    return tuple(
        Disguised(
            row.id,
            row.subset,
            row.scores[0],
            row.scores[row.num_chosen],
            {name: next(remaining) for name in DISGUISES},
        )
        for row in map(scored.__getitem__, places)
    )


def _require_rewards(name: str, scores: Sequence[Score], wanted: int) -> None:
    """Raises BadData unless there is a score for each conversation, BadReward for one of NaN."""
    if len(scores) != wanted:
        raise BadData(f"{name} gave {len(scores)} scores for {wanted} conversations")
    for index, score in enumerate(scores):
        if not isfinite(score.value):
            raise BadReward(index, score.value)


def _name_response(preferences: Sequence[Preference], index: int) -> str:
    """Returns which response the conversation at `index` was, in words."""
    for preference in preferences:
        if index < len(preference.responses):
            kind = "chosen" if index < preference.num_chosen else "rejected"
            return f"preference {preference.id} ({preference.subset}), {kind} response"
        index -= len(preference.responses)
    raise IndexError(index)


def scoring_provenance(model: Scorer, workers: "Workers | None" = None) -> dict[str, Any]:
    """Returns everything that a reward depends on besides its tokens."""
    if workers is not None and hasattr(model, "hash_weights"):
        model.hash_weights(workers)
    return {
        "model": model_provenance(model),
        "engine": engine_provenance(model),
        "versions": {"rmeval": __version__, **{name: version(name) for name in PACKAGES}},
        "python": platform.python_version(),
    }


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
    workers.require_same(settings)
    workers.require_shared(prepare_folder(folder / STORE))
    if fresh and workers.rank == 0:
        drop_store(folder / STORE, settings)
    workers.barrier()
    return ScoreStore(folder / STORE, settings, part=workers.rank)


def store_settings(provenance: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what of a provenance is the key of a store, whatever the model is called.

    What a server answered does not depend on the libraries here, and no answer on what is made of
    several.
    """
    keys = () if provenance["engine"]["path"] == SERVER else SCORING_KEYS
    left_out = OF_SAMPLES if "prompt" in provenance["model"] else ()
    model = {k: v for k, v in unnamed(provenance["model"]).items() if k not in left_out}
    return {**{key: provenance.get(key) for key in keys}, "model": model}
