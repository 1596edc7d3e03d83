"""Sampling candidates from a causal language model, with transformers, in batches."""

from collections import abc
from collections.abc import Collection, Sequence
from typing import Any

import torch

from rmeval.errors import BadCheckpoint, BadConversation, BadOption, first_line
from rmeval.models.loading import choose_device, choose_dtype
from rmeval.types import Conversation, Sampling


class LocalGenerator:
    """A causal language model on this machine, by name or folder.

    Its weights are in memory only while `draw` is at work. What its own generation_config.json
    says beyond temperature, top_k and top_p (ends, penalties) holds. `batch` sequences are sampled
    at once.
    """

    def __init__(
        self,
        name: str,
        *,
        revision: str | None = None,
        dtype: str = "auto",
        device: str = "auto",
        batch: int,
    ) -> None:
        """Reads everything but the weights. Raises BadCheckpoint, also without a chat template."""
        from transformers import AutoConfig, AutoTokenizer

        self._name, self._device, self._batch = name, choose_device(device), batch
        self._spread = device == "auto" and self._device.type == "cuda"
        self._from: Any = {"revision": revision, "trust_remote_code": False}
        try:
            self._config: Any = AutoConfig.from_pretrained(name, **self._from)
            self._tokenizer: Any = AutoTokenizer.from_pretrained(name, **self._from)
        except (OSError, ValueError, KeyError, ImportError) as error:
            raise self._unusable(
                f"no model that transformers knows ({first_line(error)})"
            ) from error
        self._dtype = choose_dtype(dtype, self._config.to_dict(), self._device)
        if self._tokenizer.chat_template is None:
            raise self._unusable("its tokenizer has no chat template; use an instruct model")

    def settings(self) -> dict[str, Any]:
        """Returns name, commit on the Hub, and dtype."""
        commit = getattr(self._config, "_commit_hash", None)
        dtype = str(self._dtype).removeprefix("torch.")
        return {"generator": self._name, "revision": commit, "dtype": dtype}

    def check(self, prompts: Sequence[Conversation], sampling: Sampling) -> None:
        """Raises BadConversation for a prompt that the template refuses, or that is too long."""
        positions = getattr(self._config.get_text_config(), "max_position_embeddings", None)
        for index, prompt in enumerate(prompts):
            tokens = len(self._encode(prompt, index))
            if positions is not None and tokens + sampling.max_new_tokens > positions:
                raise BadConversation(
                    index,
                    f"{tokens} tokens and {sampling.max_new_tokens} new ones are more than the "
                    f"generator's {positions}; use a smaller --max-new-tokens or leave it out",
                )

    def draw(
        self, prompts: Sequence[Conversation], waiting: Collection[int], sampling: Sampling
    ) -> abc.Generator[tuple[int, list[str]], None, None]:
        """Yields the candidates of those prompts that are `waiting`, in order.

        Which prompts share a batch, and its seed, depend on all prompts, not on what is waiting:
        what an interrupted run still draws is what it would have drawn. Raises BadCheckpoint for
        weights that do not load, BadOption where memory runs out.
        """
        network, waiting = self._load(), set(waiting)
        size = max(1, self._batch // sampling.n)
        try:
            for first in range(0, len(prompts), size):
                members = range(first, min(first + size, len(prompts)))
                if waiting.isdisjoint(members):
                    continue
                torch.manual_seed(sampling.seed + first)
                rows = [self._encode(prompts[index], index) for index in members]
                drawn = self._draw_batch(network, rows, sampling)
                yield from (
                    (i, texts) for i, texts in zip(members, drawn, strict=True) if i in waiting
                )
        except torch.OutOfMemoryError as error:
            raise BadOption(
                f"out of memory while {self._batch} sequences are sampled at once: use a smaller "
                "--generator-batch, --max-new-tokens or generator"
            ) from error
        finally:
            del network
            torch.cuda.empty_cache()  # the reward model's engine counts what is free

    def _load(self) -> Any:
        from safetensors import SafetensorError
        from transformers import AutoModelForCausalLM
        from transformers.utils.logging import disable_progress_bar

        disable_progress_bar()
        where = "auto" if self._spread else {"": self._device}
        try:
            network, found = AutoModelForCausalLM.from_pretrained(
                self._name,
                **self._from,
                dtype=self._dtype,
                device_map=where,
                use_safetensors=True,
                output_loading_info=True,
            )
        except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
            raise self._unusable(f"no causal language model ({first_line(error)})") from error
        if found["missing_keys"]:
            names = ", ".join(sorted(found["missing_keys"])[:4])
            raise self._unusable(f"no causal language model: weights are missing: {names}")
        return network.eval()

    def _unusable(self, reason: str) -> BadCheckpoint:
        return BadCheckpoint(f"--generator {self._name}: {reason}")

    def _encode(self, prompt: Conversation, index: int) -> list[int]:
        from jinja2 import TemplateError

        messages = [message._asdict() for message in prompt]
        try:
            text = self._tokenizer.apply_chat_template(
                messages, tokenize=False, add_generation_prompt=True
            )
        except TemplateError as error:
            raise BadConversation(index, f"the generator's template refuses it: {error}") from error
        ids: list[int] = self._tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
        return ids

    @torch.inference_mode()
    def _draw_batch(
        self, network: Any, rows: Sequence[Sequence[int]], sampling: Sampling
    ) -> list[list[str]]:
        """Returns the candidates of each prompt of a batch, padded on the left."""
        pad = self._tokenizer.pad_token_id
        pad = int(pad if pad is not None else self._tokenizer.eos_token_id or 0)
        width = max(map(len, rows))
        ids = torch.tensor([[pad] * (width - len(row)) + list(row) for row in rows])
        mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows])
        texts: list[list[str]] = [[] for _ in rows]
        while (left := sampling.n - len(texts[0])) > 0:
            drawn = network.generate(
                ids.to(network.device),  # (B, width)
                attention_mask=mask.to(network.device),
                do_sample=True,
                temperature=sampling.temperature,
                top_k=sampling.top_k,
                top_p=sampling.top_p,
                max_new_tokens=sampling.max_new_tokens,
                num_return_sequences=min(left, self._batch),
                pad_token_id=pad,
            )  # (B · count, width + new), the candidates of a prompt side by side
            new = self._tokenizer.batch_decode(drawn[:, width:], skip_special_tokens=True)
            count = len(new) // len(rows)
            for place, found in enumerate(texts):
                found += new[place * count : (place + 1) * count]
        return texts
