"""Models that share the layout of a reward model and are of another kind, told by class or name.

They would give numbers that look like scores: a process reward model's of the last step alone, and
POLAR's, as InternLM2-Reward, of an answer without the reference that it is to be compared with.
"""

import re

from rmeval.errors import BadCheckpoint
from rmeval.models.checkpoints.checkpoint import Checkpoint
from rmeval.models.checkpoints.other_names import POLAR, PROCESS, PROCESS_IS

# Qwen2ForProcessRewardModel (Qwen2.5-Math-PRM), Qwen2ForPrmModel (Skywork-o1-Open-PRM), …
PROCESS_CLASS = re.compile(r"ProcessReward|Prm|PRM")


def refuse_other_kinds(checkpoint: Checkpoint) -> None:
    """Raises BadCheckpoint for a process reward model."""
    by_class = is_process_reward_model(checkpoint)
    if by_class or checkpoint.is_called(PROCESS):
        told = "its class" if by_class else "its name"
        override = "" if by_class else "; if it is an outcome reward model, pass `family=`"
        raise BadCheckpoint(
            f"{checkpoint.architecture!r} in {checkpoint.folder} is a process reward model by "
            f"{told}: {PROCESS_IS}{override}"
        )


def is_process_reward_model(checkpoint: Checkpoint) -> bool:
    """Whether config.json's class says that a model scores steps."""
    return PROCESS_CLASS.search(checkpoint.architecture) is not None


def is_polar(checkpoint: Checkpoint) -> bool:
    """Whether InternLM2-Reward's layout is POLAR's, by its name or config.json."""
    return checkpoint.architecture == "InternLM2ForRewardModel" and (
        has_polar_config(checkpoint) or checkpoint.is_called(POLAR)
    )


def has_polar_config(checkpoint: Checkpoint) -> bool:
    """Whether config.json has the rotary angles of the published POLAR models, in InternLM2's."""
    config = checkpoint.config
    rope = config.get("rope_scaling") or {}
    kind = rope.get("rope_type", rope.get("type"))
    sizes = (config.get("rope_theta"), config.get("max_position_embeddings"))
    return (kind, rope.get("factor"), *sizes) == ("dynamic", 2.0, 50_000_000, 262_144)
