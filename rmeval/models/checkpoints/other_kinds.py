"""Models that share the layout of a reward model and are of another kind, told by class or name.

They would give numbers that look like scores: a process reward model's of the last step alone, a
critic's of a state of its policy, and POLAR's, as InternLM2-Reward, of an answer without the
reference that it is to be compared with. The body of a multimodal model is not read.
"""

import re

from rmeval.errors import BadCheckpoint
from rmeval.models.checkpoints.checkpoint import Checkpoint
from rmeval.models.checkpoints.other_names import POLAR, PROCESS, PROCESS_IS

# Qwen2ForProcessRewardModel (Qwen2.5-Math-PRM), Qwen2ForPrmModel (Skywork-o1-Open-PRM), …
PROCESS_CLASS = re.compile(r"ProcessReward|Prm|PRM")
CRITIC_CLASS = re.compile(r"Critic(?![a-z])|WithValueHead")  # OpenRLHF's, TRL's
CRITIC = re.compile(r"(?<![a-z])critic(?![a-z])[^/]*$", re.IGNORECASE)
SEEING = re.compile(r"(vision|visual|image|audio)_(config|tower)|mm_vision_tower|visual")
CRITIC_IS = (
    "its number is what its policy may expect, not a reward; pass the reward model that PPO used"
)
MULTIMODAL_IS = (
    "rmeval scores texts, and reads no body for images or sound; pass a reward model of text alone"
)


def refuse_other_kinds(checkpoint: Checkpoint) -> None:
    """Raises BadCheckpoint for a process reward model, and for a critic."""
    where = f"{checkpoint.architecture!r} in {checkpoint.folder}"
    kinds = (
        ("a process reward model", PROCESS_CLASS, PROCESS, PROCESS_IS),
        ("a critic of PPO", CRITIC_CLASS, CRITIC, CRITIC_IS),
    )
    for kind, classes, names, means in kinds:
        if classes.search(checkpoint.architecture):
            raise BadCheckpoint(f"{where} is {kind} by its class: {means}")
        if checkpoint.is_called(names):
            raise BadCheckpoint(
                f"{where} is {kind} by its name: {means}; if it is an outcome reward model, pass "
                "`family=`"
            )


def refuse_multimodal(checkpoint: Checkpoint) -> None:
    """Raises BadCheckpoint for a model whose config.json has a part for images or sound."""
    sees = next((key for key in checkpoint.config if SEEING.fullmatch(key)), None)
    if sees is not None:
        raise BadCheckpoint(
            f"{checkpoint.architecture!r} in {checkpoint.folder} is a multimodal model ({sees} in "
            f"config.json): {MULTIMODAL_IS}"
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
