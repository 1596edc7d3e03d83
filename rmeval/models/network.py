"""A reward model's network: a backbone that reads tokens, and the head that gives the reward."""

from typing import Any

from torch import nn

from rmeval.engine.plan import LAST, Pool


class Network(nn.Module):
    """A backbone and its reward head.

    With a head, the backbone is causal and gives hidden states, (N, L) ids -> (N, L, H); the
    engine picks the state of each sequence's scored token, which `pool` finds, and applies the
    head, (N, H) -> (N, 1), or (N, 1 + K) where it tells the K objectives that the reward is made
    of. Without one the backbone pools for itself, (N, L) ids and mask -> logits (N, 1), as encoders
    and remote code do.

    `may_pad` is False where padding may move a reward (remote code, for which nobody can vouch;
    attention that looks both ways): then only sequences of one length share a batch.
    """

    def __init__(
        self,
        backbone: nn.Module,
        head: nn.Module | None,
        *,
        may_pad: bool = True,
        pool: Pool = LAST,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head
        self.may_pad = may_pad
        self.pool = pool

    @property
    def config(self) -> Any:
        """The backbone's transformers configuration."""
        return self.backbone.config

    @property
    def vocab_size(self) -> int:
        """How many token ids there are; unbounded where the configuration does not say."""
        return int(getattr(self.config.get_text_config(), "vocab_size", None) or 1 << 31)

    @property
    def bodies(self) -> list["Network"]:
        """The transformers in it, of which each must allow what is done with tokens."""
        return [self]
