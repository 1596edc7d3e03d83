"""rmeval evaluates reward models: networks that give a conversation one number.

>>> model = rmeval.load_model("internlm/internlm2-7b-reward")
>>> result = rmeval.evaluate(model, rmeval.load_benchmark("rewardbench"))
>>> result.overall
"""

__version__ = "0.1.0"  # before the imports: what is imported says it in results

from typing import TYPE_CHECKING, Any

from rmeval.benchmarks import Benchmark, load_benchmark
from rmeval.errors import RmevalError
from rmeval.evaluation import evaluate
from rmeval.metrics.rewardbench import section_scores
from rmeval.preferences import pairs
from rmeval.types import Message, Metrics, Preference, Result, Score, ScoredPreference

if TYPE_CHECKING:
    from rmeval.judging.loading import load_judge
    from rmeval.models.live import wrap
    from rmeval.models.load import load_model, load_pairwise_model
    from rmeval.models.pairwise import PairwiseModel
    from rmeval.models.reward_model import RewardModel

__all__ = [
    "Benchmark",
    "Message",
    "Metrics",
    "PairwiseModel",
    "Preference",
    "Result",
    "RewardModel",
    "RmevalError",
    "Score",
    "ScoredPreference",
    "evaluate",
    "load_benchmark",
    "load_judge",
    "load_model",
    "load_pairwise_model",
    "pairs",
    "section_scores",
    "wrap",
]

_LATER = {
    "load_judge": "rmeval.judging.loading",
    "load_model": "rmeval.models.load",
    "load_pairwise_model": "rmeval.models.load",
    "PairwiseModel": "rmeval.models.pairwise",
    "RewardModel": "rmeval.models.reward_model",
    "wrap": "rmeval.models.live",
}


def __getattr__(name: str) -> Any:
    """Imports what takes long to start only when it is asked for; torch takes seconds."""
    if name in _LATER:
        from importlib import import_module

        return getattr(import_module(_LATER[name]), name)
    raise AttributeError(f"module 'rmeval' has no attribute {name!r}")
