"""A model in memory as a scorer: whatever is being trained, scored as it stands and left so.

Weights are never copied or changed. Modes, gradients' flags, buffers that a forward pass replaces
(rotary angles of changing length) and the attention setting are put back after every score. Heads
run in float32, with weights cast for the moment.
"""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from rmeval.conversations import ConversationLike
from rmeval.engine.memory import serving_batch_tokens
from rmeval.engine.plan import Pool
from rmeval.engine.scoring import Engine
from rmeval.errors import BadOption
from rmeval.known import find_template, usual_length
from rmeval.models.checkpoints.checkpoint import Checkpoint
from rmeval.models.dpo.language_model import CausalModel
from rmeval.models.dpo.model import DPOModel
from rmeval.models.dpo.network import DPONetwork
from rmeval.models.family import Family, Placed
from rmeval.models.limits import choose_engine, choose_max_length, choose_pool
from rmeval.models.live.unwrapping import Unwrapped, unwrap
from rmeval.models.network import Network
from rmeval.models.placement import checking_on
from rmeval.models.reward_model import RewardModel
from rmeval.records import Conversation, Score

MOST_TOKENS = 4096  # of a forward pass beside a training's own memory, unless more are asked for
BASE, NONE = "base", "none"


def wrap(
    model: nn.Module,
    tokenizer: Any,
    *,
    reference: nn.Module | str | None = None,
    per_token: bool = False,
    name: str | None = None,
    max_length: int | None = None,
    engine: str = "auto",
    pool: str | None = None,
    batch_tokens: int | None = None,
    chat_template: str | None = None,
    specials: str | None = None,
    checks: bool = True,
) -> RewardModel:
    """Returns a scorer of a live transformers model; its weights may change between two scores.

    Args:
        model: a `*ForSequenceClassification` with one label, or a causal language model; as it
            is, or in PEFT, DistributedDataParallel, DeepSpeed below ZeRO-3, or torch.compile.
        tokenizer: transformers' tokenizer, with a chat template.
        reference: for a language model: that which it was trained from, "base" (the model itself
            without its PEFT adapters), the name of another of its adapters, or "none" for its log
            probabilities alone.
        name: what results call it; None takes it from its configuration.
        per_token, max_length, engine, pool, batch_tokens, chat_template, specials, checks: as for
            `rmeval.load_model`.

    Raises BadOption for a model without weights of its own here (on the meta device, or sharded by
    FSDP or ZeRO-3), of a class that gives no reward, or options that do not apply.
    """
    live = unwrap(model)
    causal = live.is_causal
    _check_reference(reference, live, per_token=per_token)
    family = (LiveLanguageModel if causal else LiveClassifier)(live, tokenizer, name)
    network = _dpo_network(live, reference, per_token) if causal else _reward_network(live, family)
    usual = usual_length(family.checkpoint.name, family.name)
    return (LiveDPOModel if causal else LiveRewardModel)(
        name=family.checkpoint.name,
        family=family,
        network=network,
        dtype=live.dtype,
        device=live.device,
        engine=_choose_engine(network, live, engine, batch_tokens, pool),
        max_length=choose_max_length(max_length, network, None, usual),
        pool_asked=pool,
        template=None if chat_template is None else find_template(chat_template),
        specials_asked=specials,
        checks=checks,
    )


def _choose_engine(
    network: Network, live: Unwrapped, engine: str, batch_tokens: int | None, pool: str | None
) -> Engine:
    """Asks a network, which is left as it was, what it allows; its pool is chosen on the way."""
    with left_as_it_was(network), checking_on(live.device):
        network.pool = choose_pool(network, pool)
        serving = min(MOST_TOKENS, serving_batch_tokens(network, live.device, live.dtype))
        return choose_engine(network, batch_tokens or serving, engine)


def _check_reference(
    reference: nn.Module | str | None, live: Unwrapped, *, per_token: bool
) -> None:
    causal, own = live.is_causal, (NONE, *([BASE] if live.adapters else []), *live.adapters)
    if causal and reference is None:
        raise BadOption(
            "wrap: a language model is scored against a reference: pass reference=MODEL, 'base' or "
            "'none'"
        )
    if reference is not None and not causal:
        raise BadOption("wrap: reference is for a language model; this one has a head")
    if isinstance(reference, str) and reference not in own:
        told = "is for a model with PEFT adapters" if reference == BASE else "is no adapter of it"
        names = ", ".join(map(repr, own))
        raise BadOption(f"wrap: reference={reference!r} {told}; pass a model, or one of {names}")
    if per_token and reference is None:
        raise BadOption("wrap: per_token is for language models with a reference")


def _reward_network(live: Unwrapped, family: "LiveFamily") -> Network:
    """Returns a classifier's network: body and head of a decoder, or a whole encoder."""
    pool = Pool("last-not-pad", family.pad_token_id())
    head = live.head
    if head is None:
        return Network(live.module, None, pool=pool)
    return Network(live.body, LiveHead(head), pool=pool)


def _dpo_network(live: Unwrapped, reference: nn.Module | str | None, per_token: bool) -> Network:
    policy = LiveCausalModel(live.module)
    parts = [Network(policy, nn.Identity())]
    if isinstance(reference, str) and reference != NONE:
        other_adapter = partial(live.under, None if reference == BASE else reference)
        parts.append(Network(LiveCausalModel(live.module, other_adapter), nn.Identity()))
    elif isinstance(reference, nn.Module):
        other = unwrap(reference)
        if not other.is_causal:
            raise BadOption("wrap: the reference is not a causal language model")
        parts.append(Network(LiveCausalModel(other.module), nn.Identity()))
    return DPONetwork(*parts, *[None] * (2 - len(parts)), per_token=per_token)


class LiveHead(nn.Module):
    """A head whose weights are cast to the states' dtype for the moment."""

    def __init__(self, head: nn.Module) -> None:
        super().__init__()
        self.head = head

    def forward(self, states: Tensor) -> Tensor:
        """Returns rewards (N, 1) of states (N, H)."""
        held = {name: weight.to(states.dtype) for name, weight in self.head.named_parameters()}
        rewards: Tensor = functional_call(self.head, held, (states.to(_device(self.head)),))
        return rewards


class LiveCausalModel(CausalModel):
    """A language model in two parts that are put together again after every use.

    `context` makes one in which it is its own base, or has another adapter.
    """

    def __init__(self, causal: Any, context: Any = nullcontext) -> None:
        super().__init__(causal)
        self._stand_in = self._put(self.body)
        self._context = context

    def forward(self, input_ids: Tensor, **options: Any) -> Any:
        with self._context():
            return super().forward(input_ids, **options)

    def _logits(self, states: Tensor) -> Tensor:
        with self._context():  # which looks for the adapters of the body
            body = self._put(self._stand_in)
            try:
                return super()._logits(states)
            finally:
                self._put(body)


class LiveFamily(Family):
    """A family of one model, which is in memory: nothing is read or placed."""

    def __init__(self, live: Unwrapped, tokenizer: Any, name: str | None) -> None:
        config = live.module.config
        called = name or getattr(config, "_name_or_path", "") or type(live.module).__name__
        told = {**config.to_dict(), "architectures": [type(live.module).__name__]}
        super().__init__(Checkpoint(called, Path("the model in memory"), None, told, {}, ()))
        self._config = config
        self._tokenizer = tokenizer

    @staticmethod
    def claims(checkpoint: Checkpoint) -> bool:
        return False

    def head(self) -> None:
        return None

    def place(self, key: str, tensor: Tensor) -> Placed:
        return []

    def read_config(self) -> Any:
        return self._config

    def tokenizer(self) -> Any:
        """Returns a copy, which may be given another template and a day; what reads is shared."""
        from copy import copy

        return copy(self._tokenizer)

    def tokenizer_provenance(self) -> dict[str, str]:
        vocabulary = repr(sorted(self._tokenizer.get_vocab().items()))
        told = hashlib.sha256(vocabulary.encode()).hexdigest()
        return {"file": "in memory", "read_by": type(self._tokenizer).__name__, "sha256": told}


class LiveClassifier(LiveFamily):
    """A sequence classifier of transformers."""

    name = "classifier"
    kind = "sequence classifier"
    pool = "last-not-pad"


class LiveLanguageModel(LiveFamily):
    """A causal language model of transformers, as a DPO policy."""

    name = "dpo"
    kind = "DPO"
    per_token = False


class Live(RewardModel):
    """What scorers of live models share: everything is as it was after every score."""

    def score_conversations(
        self, conversations: Sequence[Conversation], **options: Any
    ) -> list[Score]:
        with left_as_it_was(self.network):
            return super().score_conversations(conversations, **options)

    def _score_ids(self, rows: Sequence[Sequence[int]]) -> list[float]:
        with left_as_it_was(self.network):
            return super()._score_ids(rows)

    @property
    def fingerprint(self) -> str:
        """A hash of all weights as they are now."""
        sha = hashlib.sha256(repr(self.family.checkpoint.config).encode())
        for name, weight in self.network.named_parameters():
            sha.update(name.encode())
            sha.update(weight.detach().cpu().contiguous().view(torch.uint8).numpy().data)
        return sha.hexdigest()


class LiveRewardModel(Live):
    """A live sequence classifier. Made by `rmeval.wrap`."""


class LiveDPOModel(Live, DPOModel):
    """A live policy and its reference. Made by `rmeval.wrap(..., reference=...)`."""

    def encode_fitted(self, conversation: ConversationLike) -> Any:
        return DPOModel.encode_fitted(self, conversation)

    def provenance(self) -> dict[str, Any]:
        assert isinstance(self.network, DPONetwork)
        reference = {"name": "in memory"} if len(self.network.causal_models) > 1 else None
        pooled = {"per_token": self.network.per_token, "reference": reference}
        return {**RewardModel.provenance(self), **pooled}


@contextmanager
def left_as_it_was(network: nn.Module) -> Iterator[None]:
    """Puts a network into evaluation mode, outside of autocast, and all back in the end."""
    modules = list(network.modules())
    modes = [(module, module.training) for module in modules]
    buffers = [(module, dict(module._buffers)) for module in modules if module._buffers]
    lengths = [(m, m.max_seq_len_cached) for m in modules if hasattr(m, "max_seq_len_cached")]
    flags = [(weight, weight.requires_grad) for weight in network.parameters()]
    network.eval()
    try:
        with _without_autocast(_device(network)):
            yield
    finally:
        for module, mode in modes:
            module.training = mode
        for module, held in buffers:
            module._buffers.update(held)
        for module, length in lengths:
            module.max_seq_len_cached = length
        for weight, flag in flags:
            weight.requires_grad_(flag)


def _without_autocast(device: torch.device) -> AbstractContextManager[Any]:
    return torch.autocast(device.type, enabled=False)


def _device(module: nn.Module) -> torch.device:
    return next(module.parameters()).device
