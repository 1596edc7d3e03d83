"""What rmeval must know of a family of reward models. One subclass, one file, one registry line."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any, ClassVar

import torch
from huggingface_hub.errors import StrictDataclassError
from torch import nn
from transformers import MODEL_MAPPING, AutoConfig, AutoModel, PretrainedConfig

from rmeval.errors import BadCheckpoint, Blaming
from rmeval.models.checkpoints.checkpoint import Checkpoint
from rmeval.models.text.tokenizer import require_chat_template
from rmeval.models.text.tokenizer_files import load_tokenizer, tokenizer_provenance

Placed = Iterable[tuple[str, torch.Tensor]]


class Family(ABC):
    """How the checkpoints of one family become a backbone, a head and token ids.

    Batching, padding, pooling, truncation and precision are the engine's, not the family's.
    """

    name: ClassVar[str]
    kind: ClassVar[str] = "custom head"
    """What tables call its models."""
    max_length: ClassVar[int | None] = None  # in tokens, where config.json does not say it
    pool: ClassVar[str] = "last"
    """How the scored token is found, one of POOLS: see `rmeval.engine.plan.scored_place`."""
    specials: str = "template"
    """Which special tokens its authors' code puts around a text, one of SPECIALS."""
    architectures: ClassVar[tuple[str, ...]] = ()
    """What the class names in config.json end in, by which its checkpoints are claimed."""
    needs: ClassVar[tuple[str, ...]] = ()
    """Weights that mark its checkpoints; what of them is missing is told where no family fits."""
    fallback: ClassVar[bool] = False
    """Whether it takes only what no other family claims."""
    doubt: ClassVar[str] = ""
    """What to say of a checkpoint that `compatible` allows and `claims` does not."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.checkpoint = checkpoint

    @property
    def checkpoints(self) -> tuple[Checkpoint, ...]:
        """Every checkpoint that scores are made of, its own first."""
        return (self.checkpoint,)

    @classmethod
    def claims(cls, checkpoint: Checkpoint) -> bool:
        """Whether config.json and the weights' names say that a checkpoint is of this family.

        A head's name alone says nothing: by default its class must be one of `architectures`, and
        all of `needs` must be there.
        """
        return checkpoint.architecture.endswith(cls.architectures) and cls.compatible(checkpoint)

    @classmethod
    def compatible(cls, checkpoint: Checkpoint) -> bool:
        """Whether a checkpoint may be read as this family where the user says that it is.

        By default that takes `needs`, and where no `architectures` are said all that `claims` asks.
        """
        if cls.architectures:
            return set(cls.needs) <= checkpoint.shapes.keys()
        return cls.claims(checkpoint)

    @abstractmethod
    def head(self) -> nn.Module | None:
        """Returns the empty reward head, (N, H) -> (N, 1); None if the backbone has its own.

        One that knows what the reward is made of gives (N, 1 + K), the reward first.
        """

    @abstractmethod
    def place(self, key: str, tensor: torch.Tensor) -> Placed:
        """Yields where a checkpoint's tensor goes: names that begin with `backbone.` or `head.`.

        Yields nothing for a weight that scoring has no use for, such as `lm_head.weight`.
        """

    def objectives(self) -> tuple[str, ...]:
        """Returns the names of the K numbers that the head gives beside the reward."""
        return ()

    def config(self) -> PretrainedConfig:
        """Returns the backbone's configuration. Raises BadCheckpoint where it makes no sense."""
        told = f"{self.checkpoint.folder}: transformers cannot use this config.json"
        with Blaming(BadCheckpoint, told, StrictDataclassError):
            return self.read_config()

    def read_config(self) -> PretrainedConfig:
        """Returns the backbone's configuration from config.json."""
        config: PretrainedConfig = AutoConfig.from_pretrained(
            self.checkpoint.folder, trust_remote_code=False, **self.checkpoint.overrides
        )
        return config

    def pad_token_id(self) -> int | None:
        """Returns what `pool` takes for padding: as transformers reads config.json, by default."""
        pad: int | None = self.config().get_text_config().pad_token_id
        return pad

    def backbone(self, config: PretrainedConfig, attention: str | None) -> nn.Module:
        """Returns the empty backbone, in `config.dtype`; `attention` names its implementation."""
        model: nn.Module = AutoModel.from_config(
            config, attn_implementation=attention, dtype=config.dtype
        )
        return model

    @cached_property
    def body_prefix(self) -> str:
        """What the names of the body's weights begin with: "model", "transformer", …"""
        return str(MODEL_MAPPING[type(self.config())].base_model_prefix)

    def tokenizer(self) -> Any:
        """Returns the checkpoint's tokenizer with its chat template."""
        return load_tokenizer(self.checkpoint.tokenizer_folder)

    def tokenizer_provenance(self) -> dict[str, str]:
        """Returns what the tokenizer was read from, what read it, and a hash of that."""
        return tokenizer_provenance(self.checkpoint.tokenizer_folder)

    def template(self, tokenizer: Any) -> str:
        """Returns what texts are rendered with. Raises BadCheckpoint where there is nothing."""
        return require_chat_template(tokenizer, self.checkpoint.tokenizer_folder)

    def why_unreadable(self, ids: Sequence[int]) -> str | None:
        """Returns why a sequence, (L,), cannot be scored, or None if it can."""
        return None

    def end_token(self) -> int | None:
        """Returns the token that must end every sequence, where the family has one."""
        return None
