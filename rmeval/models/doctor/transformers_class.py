"""Are a stock classifier's rewards those of transformers' own class, loaded by transformers?"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from transformers import AutoModelForSequenceClassification
from transformers.utils import logging

from rmeval.engine.device import one_name_for_full, without_cudnn_attention
from rmeval.engine.plan import Tokens
from rmeval.errors import FOREIGN, first_line
from rmeval.models.doctor.check import Check
from rmeval.models.doctor.scores import LIMITS, Probe, rewards_beside
from rmeval.models.families.classifier import Classifier
from rmeval.models.reward_model import RewardModel

NAME = "transformers"


def check_transformers(probe: Probe) -> Check:
    """Compares with transformers' class, one conversation at a time, on the same device and dtype.

    A weight that transformers does not find stays random there, so nothing can be compared. One
    that it has no use for (an lm_head) moves nothing.
    """
    model = probe.model
    rewards = _why_not(model) or rewards_beside(probe, model.dtype, _rewards)
    if isinstance(rewards, str):
        return Check(NAME, "skipped", rewards)
    advice = "the class gives other rewards for these weights: please report this model"
    if model.dtype in (torch.float16, torch.bfloat16):
        advice = (
            f"its head runs in {model.dtype_name}, ours in float32: compare in `dtype='float32'`"
        )
    return probe.compare(NAME, rewards, LIMITS[model.dtype], advice)


def _why_not(model: RewardModel) -> str | None:
    if not isinstance(model.family, Classifier):
        return "it has no class for this model"
    if model.family.checkpoint.adaptation is not None:
        return "its class alone applies no adapter"
    if "auto_map" in model.family.checkpoint.config:
        return "the folder has remote code, which may pool in its own way"
    if model.network.pool.rule != model.family.pool and model.network.head is not None:
        return (
            f"`pool={model.network.pool.rule!r}` was asked for; its class has {model.family.pool}"
        )
    return None


@one_name_for_full()
@without_cudnn_attention()
@torch.inference_mode()
def _rewards(model: RewardModel, ids: Sequence[Tokens]) -> list[float] | str:
    """Returns the rewards of transformers' class, or why they cannot be had."""
    folder = model.family.checkpoint.folder
    try:
        with _quiet():
            theirs, report = AutoModelForSequenceClassification.from_pretrained(
                folder,
                num_labels=1,
                dtype=model.dtype,
                device_map={"": model.device},
                output_loading_info=True,
                trust_remote_code=False,
            )
        if missing := sorted(report["missing_keys"]):
            return f"it leaves {missing[0]} ({len(missing)} in all) without weights"
        rewards = []
        for sequence in ids:
            row = torch.from_numpy(sequence).long().to(model.device)[None]  # (1, L)
            rewards.append(float(theirs(input_ids=row, attention_mask=torch.ones_like(row)).logits))
    except torch.OutOfMemoryError:
        raise
    except FOREIGN as error:
        return f"it does not run this folder ({type(error).__name__}: {first_line(error)})"
    return rewards


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps transformers' loading off the screen."""
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
