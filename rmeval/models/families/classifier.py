"""Plain `*ForSequenceClassification` checkpoints with one label, of any architecture.

Decoders (Llama, Qwen, Gemma, …) have a linear head called `score` on the rightmost token that is
not config.json's pad token: the engine pools. Encoders (BERT, DeBERTa, …) pool in ways of their
own: transformers' class does it whole.
"""

import torch
from torch import nn
from transformers import AutoModelForSequenceClassification, PretrainedConfig
from transformers.models.auto.modeling_auto import MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES

from rmeval.errors import BadCheckpoint
from rmeval.models.checkpoints.checkpoint import Checkpoint
from rmeval.models.families.heads import linear_head
from rmeval.models.family import Family, Placed

SCORE = "score.weight"  # the head of decoders, in every class of transformers
# Of others; read off every class in transformers' map of sequence classifiers, version 5.
HEADS = (
    *("classifier.", "classification_head.", "logits_proj.", "sequence_summary."),
    "score.out_proj.",
)


class Classifier(Family):
    """Whatever class transformers itself has for the checkpoint's `model_type`."""

    name = "classifier"
    kind = "sequence classifier"
    fallback = True  # its class name is borne by models with heads of their own
    pool = "last-not-pad"
    needs = (SCORE,)

    def __init__(self, checkpoint: Checkpoint) -> None:
        super().__init__(checkpoint)
        self._decoder = SCORE in checkpoint.shapes
        if not self._decoder:
            self.specials = "once"  # transformers' encoders pool what stands at [CLS]

    @staticmethod
    def claims(checkpoint: Checkpoint) -> bool:
        model_type = checkpoint.config.get("model_type")
        known = MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES.get(model_type)
        headed = any(key == SCORE or key.startswith(HEADS) for key in checkpoint.shapes)
        parts = {key.partition(".")[0] for key in checkpoint.shapes} - {"lm_head"}
        headless = len(parts) == 1 and "score" not in parts  # its head is missed as it is loaded
        return (headed or headless) and checkpoint.architecture == known

    def read_config(self) -> PretrainedConfig:
        config = super().read_config()
        given = self.checkpoint.config
        declared = any(given.get(key) is not None for key in ("num_labels", "id2label"))
        if declared and config.num_labels != 1:
            raise BadCheckpoint(
                f"{self.checkpoint.folder}/config.json: num_labels is {config.num_labels}; "
                "a reward model gives one number"
            )
        pooling = getattr(config.get_text_config(), "pooling", None)
        if self._decoder and pooling not in (None, "eos"):  # of CohereCompass: "bos" or "mean"
            raise BadCheckpoint(
                f"{self.checkpoint.folder}/config.json: pooling is {pooling!r}; here the reward is "
                "that of one token, the last that is not padding"
            )
        config.num_labels = 1  # LlamaConfig's default is two; the head's shape is checked below
        return config

    def backbone(self, config: PretrainedConfig, attention: str | None) -> nn.Module:
        if self._decoder:
            return super().backbone(config, attention)
        model: nn.Module = AutoModelForSequenceClassification.from_config(
            config, attn_implementation=attention, dtype=config.dtype
        )
        return model

    def head(self) -> nn.Module | None:
        if not self._decoder:
            return None
        return linear_head(self.checkpoint, SCORE, bias=False)

    def place(self, key: str, tensor: torch.Tensor) -> Placed:
        if not self._decoder:
            return [(f"backbone.{key}", tensor)]
        if key == "lm_head.weight":
            return []
        if key.startswith("score."):
            return [(key.replace("score.", "head.", 1), tensor)]
        return [(key.replace(f"{self.body_prefix}.", "backbone.", 1), tensor)]
