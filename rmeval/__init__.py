"""rmeval evaluates reward models: networks that give a conversation one number.

>>> model = rmeval.load_model("internlm/internlm2-7b-reward")
>>> result = rmeval.evaluate(model, rmeval.load_benchmark("rewardbench"))
>>> result.overall

Every verb of the command line that has a meaning in Python is here under its name.
"""

__version__ = "0.1.0"  # before the imports: what is imported says it in results

from typing import TYPE_CHECKING, Any

from rmeval.errors import (
    BadCheckpoint,
    BadConversation,
    BadData,
    BadOption,
    BadPlugin,
    BadReward,
    OutputFailure,
    PeerLost,
    RmevalError,
    ServerFailure,
    UnknownName,
    Unreachable,
)
from rmeval.records import (
    Conversation,
    Message,
    Metrics,
    Preference,
    Progress,
    Result,
    Sampling,
    Score,
    ScoredPreference,
)

if TYPE_CHECKING:
    from rmeval.benchmarks import Benchmark, load_benchmark
    from rmeval.benchmarks.rewardbench import section_scores
    from rmeval.evaluation import evaluate
    from rmeval.judging.loading import load_judge
    from rmeval.load_options import LoadOptions
    from rmeval.models.dpo.model import DPOModel
    from rmeval.models.live.wrapping import wrap
    from rmeval.models.load import load_model, load_pairwise_model
    from rmeval.models.pairwise import PairwiseModel
    from rmeval.models.reward_model import RewardModel
    from rmeval.preferences import pairs
    from rmeval.scorer import PreferenceScorer, RewardScorer, Scorer
    from rmeval.verbs.checkpoints import convert, merge
    from rmeval.verbs.exchange import pull, push
    from rmeval.verbs.frames import results_frame
    from rmeval.verbs.lines import best_of_n, doctor, filter, rank
    from rmeval.verbs.overlap import Overlap, overlap
    from rmeval.verbs.plans import RunPlan, plan_run
    from rmeval.verbs.results import (
        agreement,
        baseline,
        check,
        compare,
        ensemble,
        history,
        leaderboard,
        read_result,
        read_results,
        report,
        site,
    )

__all__ = [
    "BadCheckpoint",
    "BadConversation",
    "BadData",
    "BadOption",
    "BadPlugin",
    "BadReward",
    "Benchmark",
    "Conversation",
    "DPOModel",
    "LoadOptions",
    "Message",
    "Metrics",
    "OutputFailure",
    "Overlap",
    "PairwiseModel",
    "PeerLost",
    "Preference",
    "PreferenceScorer",
    "Progress",
    "Result",
    "RewardModel",
    "RewardScorer",
    "RmevalError",
    "RunPlan",
    "Sampling",
    "Score",
    "ScoredPreference",
    "Scorer",
    "ServerFailure",
    "UnknownName",
    "Unreachable",
    "agreement",
    "baseline",
    "best_of_n",
    "check",
    "compare",
    "convert",
    "doctor",
    "ensemble",
    "evaluate",
    "filter",
    "history",
    "leaderboard",
    "load_benchmark",
    "load_judge",
    "load_model",
    "load_pairwise_model",
    "merge",
    "overlap",
    "pairs",
    "plan_run",
    "pull",
    "push",
    "rank",
    "read_result",
    "read_results",
    "report",
    "results_frame",
    "section_scores",
    "site",
    "wrap",
]

_LATER = {
    "rmeval.benchmarks": ["Benchmark", "load_benchmark"],
    "rmeval.evaluation": ["evaluate"],
    "rmeval.judging.loading": ["load_judge"],
    "rmeval.load_options": ["LoadOptions"],
    "rmeval.benchmarks.rewardbench": ["section_scores"],
    "rmeval.models.dpo.model": ["DPOModel"],
    "rmeval.models.live.wrapping": ["wrap"],
    "rmeval.models.load": ["load_model", "load_pairwise_model"],
    "rmeval.models.pairwise": ["PairwiseModel"],
    "rmeval.models.reward_model": ["RewardModel"],
    "rmeval.preferences": ["pairs"],
    "rmeval.scorer": ["PreferenceScorer", "RewardScorer", "Scorer"],
    "rmeval.verbs.checkpoints": ["convert", "merge"],
    "rmeval.verbs.exchange": ["pull", "push"],
    "rmeval.verbs.frames": ["results_frame"],
    "rmeval.verbs.lines": ["best_of_n", "doctor", "filter", "rank"],
    "rmeval.verbs.overlap": ["Overlap", "overlap"],
    "rmeval.verbs.plans": ["RunPlan", "plan_run"],
    "rmeval.verbs.results": [
        "agreement",
        "baseline",
        "check",
        "compare",
        "ensemble",
        "history",
        "leaderboard",
        "read_result",
        "read_results",
        "report",
        "site",
    ],
}
_MODULE_OF = {name: module for module, names in _LATER.items() for name in names}


def __getattr__(name: str) -> Any:
    """Imports what takes long to start only when it is asked for, and numpy takes its time too."""
    if name in _MODULE_OF:
        from importlib import import_module

        return getattr(import_module(_MODULE_OF[name]), name)
    raise AttributeError(f"module 'rmeval' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
