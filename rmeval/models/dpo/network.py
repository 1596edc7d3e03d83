"""DPO (arXiv 2305.18290): a policy whose reward is in what it says, against its reference.

The implicit reward is log π(y|x) - log π_ref(y|x), up to β and what depends on the prompt alone.
It is the sum over the response's tokens, without β and without a norm for length, as in
RewardBench's `get_batch_logps` (arXiv 2403.13787).

A token that is to be scored travels as its complement, `~id`, which is negative. So prefixes,
equal sequences, groups and their digests in the store tell a response from the same tokens in a
prompt, and the engine needs to know nothing of where a response begins.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

import torch
from torch import Tensor, nn
from transformers.modeling_outputs import BaseModelOutput

from rmeval.engine import attention
from rmeval.engine.device import home
from rmeval.engine.plan import parent_places
from rmeval.errors import BadCheckpoint, BadOption
from rmeval.models.checkpoints.checkpoint import Checkpoint
from rmeval.models.dpo.language_model import CausalModel, LanguageModel
from rmeval.models.network import Network
from rmeval.models.text.tokenizer import render
from rmeval.models.text.tokenizer_files import PROBES, has_tokenizer
from rmeval.records import Message

PROBE = "\n".join(PROBES)
TALK = (Message("user", PROBE), Message("assistant", PROBE))


class DPO(LanguageModel):
    """A policy, and its reference, or None for the policy's log probability alone."""

    name = "dpo"
    kind = "DPO"

    def __init__(
        self, policy: Checkpoint, reference: Checkpoint | None, *, per_token: bool = False
    ) -> None:
        """Raises BadOption for a policy that is its own reference, BadCheckpoint for two unlike."""
        super().__init__(policy)
        self.per_token = per_token
        self.reference = None if reference is None else LanguageModel(reference)
        if reference is not None and reference.is_same(policy):
            raise BadOption("`reference=` is the model itself, so every reward would be 0")
        ours, *theirs = (part.config().get_text_config().vocab_size for part in self.parts)
        if theirs not in ([], [ours]):
            self._refuse_reference(f"has {theirs[0]} tokens, the policy {ours}")

    @property
    def checkpoints(self) -> tuple[Checkpoint, ...]:
        """The policy's, and the reference's if there is one."""
        return (self.checkpoint, *([self.reference.checkpoint] if self.reference else []))

    @property
    def parts(self) -> list[LanguageModel]:
        """The policy, and its reference if there is one."""
        return [LanguageModel(checkpoint) for checkpoint in self.checkpoints]

    def join(self, policy: Network, reference: Network | None = None) -> Network:
        """Returns one network of two, or of the policy's."""
        return DPONetwork(policy, reference, per_token=self.per_token)

    def tokenizer(self) -> Any:
        """Returns the policy's, which renders for both; the reference's must give its ids.

        The reference's chat template is not asked: the base model that a policy was trained from
        often has none, or one of its own.
        """
        tokenizer = super().tokenizer()
        if self.reference is None or not has_tokenizer(self.reference.checkpoint.tokenizer_folder):
            return tokenizer
        text = PROBE if tokenizer.chat_template is None else render(tokenizer, TALK, 0)
        policy, reference = (
            found(text, add_special_tokens=False)["input_ids"]
            for found in (tokenizer, self.reference.tokenizer())
        )
        if policy != reference:
            self._refuse_reference("has another tokenizer: it gives other ids for the same text")
        return tokenizer

    def _refuse_reference(self, reason: str) -> NoReturn:
        assert self.reference is not None
        raise BadCheckpoint(
            f"`reference={str(self.reference.checkpoint.folder)!r}` {reason}; pass the model that "
            f"{self.checkpoint.name} was trained from"
        )


class DPONetwork(Network):
    """A policy and its reference over the same tokens."""

    def __init__(self, policy: Network, reference: Network | None, *, per_token: bool) -> None:
        parts = [policy] if reference is None else [policy, reference]
        super().__init__(
            DPOBackbone([part.backbone for part in parts]), SumOrMean(per_token=per_token)
        )
        for part in parts:
            if hasattr(part, "hf_device_map"):  # says that it is spread over several devices
                self.hf_device_map = part.hf_device_map

    @property
    def per_token(self) -> bool:
        """Whether the reward is a response's mean, not its sum."""
        assert isinstance(self.head, SumOrMean)
        return self.head.per_token

    @property
    def causal_models(self) -> list[CausalModel]:
        """The policy, and its reference if there is one."""
        backbone = self.backbone
        assert isinstance(backbone, DPOBackbone)
        return backbone.causal_models

    @property
    def bodies(self) -> list[Network]:
        """Both bodies: a probe of theirs has no response."""
        return [Network(model.body, nn.Identity()) for model in self.causal_models]


class DPOBackbone(nn.Module):
    """A backbone whose state at each token is what its path is worth up to there.

    States are (N, L, 2) in float64: the sum of log π - log π_ref over the tokens that are to be
    scored, and how many these are. So the engine pools one position and gets the reward.
    """

    def __init__(self, models: Sequence[nn.Module]) -> None:
        super().__init__()
        self.models = nn.ModuleList(models)

    @property
    def causal_models(self) -> list[CausalModel]:
        """The policy, and its reference if there is one."""
        return [model for model in self.models if isinstance(model, CausalModel)]

    @property
    def config(self) -> Any:
        """The policy's configuration; see `_reading_as`."""
        return self.causal_models[0].config

    def forward(
        self, input_ids: Tensor, position_ids: Tensor | None = None, **options: Any
    ) -> BaseModelOutput:
        """Returns the states; ids (N, L), `position_ids` as the engine gives them for a pack.

        A first token has nothing before it, hence no probability, and is not counted.
        """
        ids = torch.where(input_ids < 0, ~input_ids, input_ids)
        parents = _parents(input_ids, position_ids)  # (N, L), on the host like all that follows
        rows, columns = ((input_ids < 0).cpu() & (parents >= 0)).nonzero(as_tuple=True)  # (S,)
        before, tokens = parents[rows, columns], ids.cpu()[rows, columns]
        gains = torch.zeros(len(tokens), dtype=torch.float64)
        for sign, model in zip((1, -1), self.causal_models, strict=False):
            with _reading_as(self.config, model.config):
                output = model(ids.to(home(model)), position_ids=position_ids, **options)
            states = output.last_hidden_state[rows, before]  # (S, H)
            gains += sign * model.log_probabilities(states, tokens)
        worth = torch.zeros(*ids.shape, 2, dtype=torch.float64)
        worth[rows, columns] = torch.stack([gains, torch.ones_like(gains)], -1)
        sums = sum_along_paths(worth, parents)
        return BaseModelOutput(last_hidden_state=sums.to(input_ids.device))


class SumOrMean(nn.Module):
    """The reward of a response: the sum over its tokens, or their mean."""

    def __init__(self, *, per_token: bool) -> None:
        super().__init__()
        self.per_token = per_token

    def forward(self, states: Tensor) -> Tensor:
        """Returns rewards (N, 1) of the backbone's states (N, 2)."""
        total, count = states[:, :1], states[:, 1:]
        return total / count if self.per_token else total


def sum_along_paths(values: Tensor, parents: Tensor) -> Tensor:
    """Returns at each token the sum of values (N, L, C) over its path; parents are (N, L).

    By doubling: what is added to what depends on a token's position in its path alone, so the sum
    is the same, to the bit, alone, padded and packed.
    """
    while bool((parents >= 0).any()):
        begun = parents < 0
        at = parents.clamp(min=0)
        above = values.gather(1, at[..., None].expand_as(values))
        values = torch.where(begun[..., None], values, values + above)
        parents = parents.gather(1, at).masked_fill(begun, -1)
    return values


def _parents(input_ids: Tensor, position_ids: Tensor | None) -> Tensor:
    if position_ids is None:
        return torch.arange(-1, input_ids.shape[1] - 1).expand(input_ids.shape)
    return torch.tensor([parent_places(row) for row in position_ids.tolist()])


@contextmanager
def _reading_as(leader: Any, config: Any) -> Iterator[None]:
    """Has a model read a pack where the policy does: the engine says so in the policy's config."""
    before = config._attn_implementation
    if leader._attn_implementation == attention.NAME:
        config._attn_implementation = attention.NAME
    try:
        yield
    finally:
        config._attn_implementation = before
