"""What every loaded model has: a family, a network, an engine, and a tokenizer with its policy."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch

from rmeval.clock import spending
from rmeval.engine.attention import why_not_fused
from rmeval.engine.estimate import Work
from rmeval.engine.memory import flops_per_token
from rmeval.engine.once import once_a_machine
from rmeval.engine.plan import Tokens, scored_place
from rmeval.engine.scoring import ASKED_FOR, Engine
from rmeval.engine.workers import Workers
from rmeval.errors import BadData, BadOption
from rmeval.known import ChatTemplate, find_known, shipped_templates
from rmeval.models.doctor.check import Check
from rmeval.models.family import Family
from rmeval.models.network import Network
from rmeval.models.text.day import ASKS, choose_day
from rmeval.models.text.specials import Specials
from rmeval.models.text.tokenizer_files import has_tokenizer, load_tokenizer


class Plan(NamedTuple):
    """What scoring will take: texts, all their tokens, those of each pass, and the arithmetic.

    `keys` are gathered along the paths of packs, `pairs` are of a query with a key that it sees.
    """

    texts: int
    tokens: int
    passes: list[int]
    flops: int
    keys: int
    pairs: int

    @property
    def work(self) -> Work:
        """What the passes compute, all together."""
        return Work(len(self.passes), sum(self.passes), self.keys, self.pairs, self.flops)


@dataclass(frozen=True, eq=False, repr=False)
class LoadedModel:
    """A network with its family's way of reading text.

    `max_length` bounds a sequence, in tokens; `engine` says how forward passes are made;
    `template` was asked for in place of the tokenizer's own, `pool_asked` and `specials_asked` in
    place of the family's rules, `day_asked` in place of the template's. `system` is a system prompt
    that every conversation is given, and none may have. `variant` tells its results
    from others of its name, as a DPO policy's reference does. With `checks`, the model is checked
    before its first score; `checked` says what was, `warnings` what was found that leaves it fit,
    `checks_made` how each check went.
    """

    name: str
    family: Family
    network: Network
    dtype: torch.dtype
    device: torch.device
    engine: Engine
    max_length: int
    revision_asked: str | None = None
    pool_asked: str | None = None
    variant: str | None = None
    template: ChatTemplate | None = None
    specials_asked: str | None = None
    day_asked: str | None = None
    system: str | None = None
    checks: bool = True
    checked: set[str] = field(default_factory=set)
    warnings: list[str] = field(default_factory=list)
    checks_made: list[Check] = field(default_factory=list)

    def __repr__(self) -> str:
        kind = type(self).__name__
        return f"<{kind} {self.name}: {self.family.name}, {self.dtype_name}, {self.device}>"

    @cached_property
    def tokenizer(self) -> Any:
        """The checkpoint's tokenizer with its chat template and day, loaded when first needed.

        Raises BadCheckpoint, and BadOption for a template that its family has no use for.
        """
        with spending("loading"):
            tokenizer = self.family.tokenizer()
        self._require_the_bases_tokens(tokenizer)
        other = self._other_template
        if other is not None and (self.template is not None or not tokenizer.chat_template):
            tokenizer.chat_template = other.text
        used = self.family.template(tokenizer)
        if self.template is not None and used != self.template.text:
            raise BadOption(f"`chat_template=`: {self.family.name} renders texts in its own way")
        tokenizer.day = choose_day(self.day_asked, used, self.family.checkpoint.folders[0])
        return tokenizer

    def _require_the_bases_tokens(self, tokenizer: Any) -> None:
        """Raises BadCheckpoint for an adapter whose tokenizer is no other name for its base's."""
        adapted, known = self.family.checkpoint.adaptation, self.network.vocab_size
        if adapted is None:
            return
        adapter, base, size = adapted.adapter, adapted.base, len(tokenizer)
        if size > known:
            raise adapter.refused(
                f"its tokenizer has {size} tokens and its base {base.name} {known}: an adapter "
                "that adds tokens is not merged here"
            )
        if not (has_tokenizer(adapter.folder) and has_tokenizer(base.folder)):
            return
        ours, theirs = tokenizer.get_vocab(), load_tokenizer(base.folder).get_vocab()
        moved = next((t for t, at in theirs.items() if ours.get(t, at) != at), None)
        if moved is not None:
            raise adapter.refused(
                f"the token {moved!r} has the id {ours[moved]} in its tokenizer and "
                f"{theirs[moved]} in that of {base.name}: it belongs to another base"
            )

    @cached_property
    def specials(self) -> Specials:
        """The special tokens around its texts, by the policy that was asked for or its authors'."""
        return Specials(self.policy()[0], self.tokenizer)

    def policy(self) -> tuple[str, str]:
        """Returns the policy of special tokens, and where it comes from."""
        if self.specials_asked is not None:
            return self.specials_asked, "asked for"
        other, known = self._other_template, find_known(self.name)
        if other and other.specials and self.tokenizer.chat_template == other.text:
            return other.specials, other.source
        if known and known.specials and self.family.name == known.family:
            return known.specials, f"as {known.name}'s authors"
        return self.family.specials, f"its family, {self.family.name}"

    @property
    def _other_template(self) -> ChatTemplate | None:
        """The template that was asked for, or what a known checkpoint takes for want of one."""
        known = find_known(self.name)
        if self.template is not None or known is None or known.template is None:
            return self.template
        return shipped_templates()[known.template]

    @property
    def dtype_name(self) -> str:
        """The backbone's dtype as `load_model` takes it."""
        return str(self.dtype).removeprefix("torch.")

    @cached_property
    def fingerprint(self) -> str:
        """A hash of config.json and all weights; reads every weight file once."""
        with spending("hashing"):
            return self.family.checkpoint.fingerprint()

    def hash_weights(self, workers: Workers) -> None:
        """Has one process of each machine read the weight files for all of them."""
        folders = " ".join(str(f.resolve()) for c in self.family.checkpoints for f in c.folders)
        found = once_a_machine(workers, folders, lambda: self.fingerprint)
        vars(self)["fingerprint"] = found

    def provenance(self) -> dict[str, Any]:
        """Returns everything about the model that its scores depend on."""
        checkpoint = self.family.checkpoint
        template, day = self.family.template(self.tokenizer), self.tokenizer.day
        other, objectives = self._other_template, self.family.objectives()
        ids = self._probe_ids()
        self._require_in_vocabulary(ids, "what the chat template makes of a short text")
        policy, said_by = self.policy()
        return {
            "name": self.name,
            "revision": checkpoint.revision,
            "fingerprint": self.fingerprint,
            "family": self.family.name,
            "architecture": checkpoint.architecture,
            **({"base": checkpoint.adaptation.provenance()} if checkpoint.adaptation else {}),
            "dtype": self.dtype_name,
            "template_sha256": hashlib.sha256(template.encode()).hexdigest(),
            "template_from": other.source if other and other.text == template else "its tokenizer",
            "tokenizer": self.family.tokenizer_provenance(),
            "specials": {
                "policy": policy,
                "from": said_by,
                "bos": list(ids).count(self.tokenizer.bos_token_id),
            },
            **({} if self.system is None else {"system": self.system}),
            **({"date": {"day": f"{day.day}", "from": day.source}} if ASKS in template else {}),
            "pool": self._pool_provenance(ids),
            "max_length": self.max_length,
            **({"objectives": list(objectives)} if objectives else {}),
        }

    @property
    def kind(self) -> str:
        """What tables call it."""
        return self.family.kind

    def engine_provenance(self) -> dict[str, Any]:
        """Returns how the scores are computed: path, budget, device."""
        cuda = self.device.type == "cuda"
        return {
            "path": "packed" if self.engine.packed else "padded",
            "reason": self.engine.reason,
            "kernel": self._kernel(),
            "batch_tokens": self.engine.batch_tokens,
            **({"processes": self.engine.processes} if self.engine.processes > 1 else {}),
            "device": torch.cuda.get_device_name(self.device) if cuda else "cpu",
        }

    def _pool_provenance(self, ids: Sequence[int]) -> dict[str, Any]:
        """Returns the rule that finds the scored token, and what it finds in a short text's ids."""
        if self.network.head is None:
            return {"rule": "the model's own"}
        pool = self.network.pool
        place = scored_place(np.asarray(ids, np.int32), pool)
        return {
            **pool._asdict(),
            "from": "asked for" if self.pool_asked else "its family",
            "token": {"id": ids[place], "text": self.tokenizer.decode([ids[place]])},
            "after": self.tokenizer.decode(list(ids[place + 1 :])),
        }

    def remark(self) -> str | None:
        """Returns what makes this model slower on its GPU than others are, or None."""
        if self.device.type == "cpu" or self.engine.reason == ASKED_FOR:
            return None
        if not self.engine.packed:
            return f"padded, so shared prefixes are computed each time: {self.engine.reason}"
        reason = self._why_not_fused()
        return reason and f"packed in plain attention, which is slower: {reason}"

    def _kernel(self) -> str:
        if not self.engine.packed:
            return str(self.network.config._attn_implementation)
        if self._why_not_fused() is None:
            return "flash attention, a pack at once"
        if self.device.type == "cpu":
            return "sdpa, one sequence after the other"
        return "sdpa, a few sequences at once"

    def _why_not_fused(self) -> str | None:
        config = self.network.config.get_text_config()
        head_dim = getattr(config, "head_dim", None)
        head_dim = head_dim or config.hidden_size // config.num_attention_heads
        softcap = getattr(config, "attn_logit_softcapping", None)
        return why_not_fused(self.device, self.dtype, head_dim, softcap)

    def _plan(self, sequences: Sequence[Sequence[int]]) -> Plan:
        distinct = [np.asarray(row, np.int32) for row in dict.fromkeys(map(tuple, sequences))]
        groups = [
            [distinct[index] for index in group]
            for group in self.engine.plan(distinct, may_pad=self.network.may_pad)
        ]
        passes = [self.engine.cost(group) for group in groups]
        flops = sum(self._flops(group) for group in groups)
        keys, pairs = (sum(map(of, groups)) for of in (self.engine.keys, self.engine.pairs))
        return Plan(len(sequences), sum(map(len, sequences)), passes, flops, keys, pairs)

    def _flops(self, group: Sequence[Tokens]) -> int:
        """Returns the arithmetic of a group's matrices."""
        return self.engine.cost(group) * sum(map(flops_per_token, self.network.bodies))

    def _probe_ids(self) -> Sequence[int]:
        """Returns the token ids of a short text, as the model sees it."""
        raise NotImplementedError

    def _require_in_vocabulary(self, ids: Sequence[int], place: str) -> None:
        if not ids:
            raise BadData(f"{place} has 0 tokens; {self.name} takes at least 1")
        size = self.network.vocab_size
        if not 0 <= min(ids) <= max(ids) < size:
            raise BadData(f"{place} has a token id outside 0 to {size - 1}")
