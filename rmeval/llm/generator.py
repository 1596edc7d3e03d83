"""Sampling candidates from a causal language model, with transformers, in batches."""

from collections import abc
from collections.abc import Callable, Collection, Iterator, Sequence, Set
from functools import cached_property
from typing import Any, TypeVar

import torch
from huggingface_hub.errors import StrictDataclassError

from rmeval.engine.device import one_name_for_full, without_cudnn_attention
from rmeval.errors import BadCheckpoint, BadConversation, BadOption, Blaming
from rmeval.llm.endpoint import CUT, Answer, RequestRefused
from rmeval.llm.thinking import THINKING
from rmeval.models.checkpoints.checkpoint import find_checkpoint
from rmeval.models.checkpoints.not_readable import refuse_adapter
from rmeval.models.loading import choose_dtype
from rmeval.models.placement import choose_device, loading_on
from rmeval.models.text.day import ASKS, choose_day
from rmeval.models.text.tokenizer import render, require_chat_template
from rmeval.models.text.tokenizer_files import load_tokenizer, tokenizer_provenance
from rmeval.records import Conversation, Message, Sampling

Rows = Sequence[Sequence[int]]  # the token ids of a batch of prompts
Found = TypeVar("Found")


class LocalGenerator:
    """A causal language model on this machine, by name or folder.

    Its weights are in memory only while `draw` is at work. What its own generation_config.json
    says beyond temperature, top_k and top_p (ends, penalties) holds. `batch` sequences are sampled
    at once. `date` is the day for a template that asks for today's. `options` are how errors name
    the model, and the size of a batch.
    """

    def __init__(
        self,
        name: str,
        *,
        revision: str | None = None,
        dtype: str = "auto",
        device: str = "auto",
        date: str | None = None,
        batch: int,
        options: tuple[str, str] = ("generator", "`batch=`"),
    ) -> None:
        """Reads everything but the weights. Raises BadCheckpoint, also without a chat template."""
        from transformers import AutoConfig

        self.name, self.device, self._batch = name, choose_device(device), batch
        self._options = options
        self.spread = device == "auto" and self.device.type == "cuda"
        self.revision = revision
        self._from: Any = {"revision": revision, "trust_remote_code": False}
        with self._blaming("no model that transformers knows", StrictDataclassError):
            self._config: Any = AutoConfig.from_pretrained(name, **self._from)
        self._folder = find_checkpoint(name, revision)[0]
        refuse_adapter(self._folder, "only whole models write")
        self._tokenizer: Any = load_tokenizer(self._folder)
        self.dtype = choose_dtype(dtype, self._config.to_dict(), self.device)
        if self._tokenizer.chat_template is None:
            raise self._unusable("its tokenizer has no chat template; use an instruct model")
        if self._tokenizer.pad_token is None:
            self._tokenizer.pad_token = self._tokenizer.eos_token
        if self._tokenizer.pad_token is None:
            raise self._unusable("its tokenizer_config.json names no pad_token and no eos_token")
        template = require_chat_template(self._tokenizer, self._folder)
        self._tokenizer.day = choose_day(date, template, self._folder)

    def settings(self) -> dict[str, Any]:
        """Returns name, commit on the Hub, dtype, and what decides the ids of a prompt."""
        template, day = require_chat_template(self._tokenizer, self._folder), self._tokenizer.day
        return {
            "generator": self.name,
            "revision": getattr(self._config, "_commit_hash", None),
            "dtype": str(self.dtype).removeprefix("torch."),
            "tokenizer": tokenizer_provenance(self._folder),
            **({"date": f"{day.day}"} if ASKS in template else {}),
        }

    def engine(self) -> dict[str, Any]:
        """Returns the device, and how many sequences share a batch."""
        cuda = self.device.type == "cuda"
        device = torch.cuda.get_device_name(self.device) if cuda else "cpu"
        return {"device": device, "batch": self._batch}

    def check(self, prompts: Sequence[Conversation], sampling: Sampling) -> None:
        """Raises BadConversation for a prompt that the template refuses, or that is too long."""
        for index, prompt in enumerate(prompts):
            reason = self.too_long(len(self.encode(prompt, index)), sampling.max_new_tokens)
            if reason is not None:
                raise BadConversation(
                    index, f"{reason}; use a smaller `max_new_tokens=` or leave it out"
                )

    def draw(
        self, prompts: Sequence[Conversation], waiting: Collection[int], sampling: Sampling
    ) -> abc.Generator[tuple[int, list[str]], None, None]:
        """Yields the candidates of those prompts that are `waiting`, in order.

        Which prompts share a batch, and its seed, depend on all prompts, not on what is waiting:
        what an interrupted run still draws is what it would have drawn. Raises BadCheckpoint for
        weights that do not load, BadOption where memory runs out.
        """
        yield from self._in_batches(
            [self.encode(prompt, index) for index, prompt in enumerate(prompts)],
            set(waiting),
            max(1, self._batch // sampling.n),
            sampling.seed,
            lambda network, rows: self._draw_batch(network, rows, sampling),
        )

    def answer(
        self, prompts: Sequence[Conversation], waiting: Collection[int], sampling: Sampling
    ) -> abc.Generator[tuple[int, Answer | RequestRefused], None, None]:
        """Yields an answer to each prompt that is `waiting`, the likeliest at temperature 0.

        A prompt that is too long is refused. Batches and errors are those of `draw`.
        """
        rows = [self.encode(prompt, index) for index, prompt in enumerate(prompts)]
        reasons = [self.too_long(len(row), sampling.max_new_tokens) for row in rows]
        fit = [index for index, reason in enumerate(reasons) if reason is None]
        for index in waiting:
            if (reason := reasons[index]) is not None:
                yield index, RequestRefused(f"{self.name}: {reason}")
        left = {place for place, index in enumerate(fit) if index in waiting}
        if left:
            for place, found in self._in_batches(
                [rows[index] for index in fit],
                left,
                self._batch,
                sampling.seed,
                lambda network, rows: self._answer_batch(network, rows, sampling),
            ):
                yield fit[place], found._replace(text=f"{self._opening}{found.text}")

    @cached_property
    def _opening(self) -> str:
        """The mark with which the chat template begins every answer, which is then thinking."""
        probe = self._tokenizer.decode(self.encode((Message("user", "x"),), 0)).rstrip()
        return next((mark for mark in THINKING if probe.endswith(mark)), "")

    def vocabulary(self, size: int) -> Iterator[tuple[int, str]]:
        """Yields the tokens below `size`, but for special ones, with their texts."""
        for token in range(min(size, len(self._tokenizer))):
            if token not in self._specials:
                yield token, self._tokenizer.decode([token])

    def count_tokens(self, text: str) -> int:
        """Returns the length of a text in the model's tokens."""
        return len(self._tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])

    def _in_batches(
        self,
        rows: Rows,
        waiting: Set[int],
        size: int,
        seed: int,
        work: Callable[[Any, Rows], Sequence[Found]],
    ) -> abc.Generator[tuple[int, Found], None, None]:
        network = self._load()
        try:
            for first in range(0, len(rows), size):
                members = range(first, min(first + size, len(rows)))
                if waiting.isdisjoint(members):
                    continue
                torch.manual_seed(seed + first)
                with one_name_for_full(), without_cudnn_attention():
                    found = work(network, rows[first : first + size])
                yield from (pair for pair in zip(members, found, strict=True) if pair[0] in waiting)
        except torch.OutOfMemoryError as error:
            raise BadOption(
                f"out of memory while {self._batch} sequences are sampled at once: use a smaller "
                f"{self._options[1]}, `max_new_tokens=` or model"
            ) from error
        finally:
            del network
            torch.cuda.empty_cache()  # the reward model's engine counts what is free

    def too_long(self, tokens: int, new: int) -> str | None:
        """Returns why a prompt of so many tokens cannot be gone on with, or None."""
        positions = getattr(self._config.get_text_config(), "max_position_embeddings", None)
        if positions is None or tokens + new <= positions:
            return None
        return f"{tokens} tokens and {new} new ones are more than the model's {positions}"

    def _load(self) -> Any:
        from safetensors import SafetensorError
        from transformers import AutoModelForCausalLM
        from transformers.utils.logging import disable_progress_bar

        disable_progress_bar()
        where = "auto" if self.spread else {"": self.device}
        told = self._blaming("no causal language model", SafetensorError)
        with loading_on(self.device), told, one_name_for_full():
            network, found = AutoModelForCausalLM.from_pretrained(
                self.name,
                **self._from,
                dtype=self.dtype,
                device_map=where,
                use_safetensors=True,
                output_loading_info=True,
            )
        if found["missing_keys"]:
            names = ", ".join(sorted(found["missing_keys"])[:4])
            raise self._unusable(f"no causal language model: weights are missing: {names}")
        return network.eval()

    def _blaming(self, reason: str, *also: type[Exception]) -> Blaming:
        return Blaming(BadCheckpoint, f"{self._options[0]} {self.name}: {reason}", *also)

    def _unusable(self, reason: str) -> BadCheckpoint:
        return BadCheckpoint(f"{self._options[0]} {self.name}: {reason}")

    def encode(self, prompt: Conversation, index: int, before: str = "") -> list[int]:
        """Returns the ids of a prompt, and of its answer's beginning. Raises BadConversation."""
        text = render(self._tokenizer, prompt, index, add_generation_prompt=True) + before
        ids: list[int] = self._tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
        return ids

    def _draw_batch(self, network: Any, rows: Rows, sampling: Sampling) -> list[list[str]]:
        """Returns the candidates of each prompt of a batch."""
        texts: list[list[str]] = [[] for _ in rows]
        while (left := sampling.n - len(texts[0])) > 0:
            drawn = self._generate(network, rows, sampling, min(left, self._batch))
            new = self._tokenizer.batch_decode(drawn, skip_special_tokens=True)
            count = len(new) // len(rows)
            for place, found in enumerate(texts):
                found += new[place * count : (place + 1) * count]
        return texts

    def _answer_batch(self, network: Any, rows: Rows, sampling: Sampling) -> list[Answer]:
        """Returns the answer to each prompt of a batch, up to its first end token."""
        ends = network.generation_config.eos_token_id
        ends = set(ends) if isinstance(ends, list) else {ends}
        answers = []
        for row, new in zip(rows, self._generate(network, rows, sampling, 1).tolist(), strict=True):
            count = next((place for place, token in enumerate(new, 1) if token in ends), None)
            text = self._read(new[:count])
            finish = CUT[0] if count is None else "stop"
            answers.append(Answer(text, finish, len(row), count or len(new)))
        return answers

    def _read(self, ids: Sequence[int]) -> str:
        """Returns the text of an answer; of special tokens only those that mark its thinking."""
        marks = self._marks
        kept = [token for token in ids if token in marks or token not in self._specials]
        return str(self._tokenizer.decode(kept, skip_special_tokens=not marks & set(kept)))

    @cached_property
    def _specials(self) -> Set[int]:
        return set(self._tokenizer.all_special_ids)

    @cached_property
    def _marks(self) -> Set[int]:
        """The special tokens of which marks of thinking are made."""
        known = self._tokenizer.get_added_vocab()
        text = "".join([*THINKING, *THINKING.values()])
        return {known[token] for token in known if known[token] in self._specials and token in text}

    @torch.inference_mode()
    def _generate(self, network: Any, rows: Rows, sampling: Sampling, count: int) -> torch.Tensor:
        """Returns (B · count, new) ids, those of a prompt side by side; padded on the left."""
        padded = self._tokenizer.pad(
            {"input_ids": rows},
            padding_side="left",
            return_attention_mask=True,
            return_tensors="pt",
            verbose=False,
        ).to(network.device)  # (B, width)
        names = ("temperature", "top_k", "top_p")
        sampled = sampling.temperature > 0
        drawn: torch.Tensor = network.generate(
            **padded,
            do_sample=sampled,
            **{name: getattr(sampling, name) if sampled else None for name in names},
            max_new_tokens=sampling.max_new_tokens,
            num_return_sequences=count,
            pad_token_id=self._tokenizer.pad_token_id,
        )  # (B · count, width + new)
        return drawn[:, padded["input_ids"].shape[1] :]
