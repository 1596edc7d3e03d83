"""The text of a converted model: one tokenizer and one chat template that give the same ids."""

import json
from pathlib import Path
from typing import Any

from rmeval.engine.plan import scored_place
from rmeval.errors import BadCheckpoint
from rmeval.models.checkpoints.json_files import read_object
from rmeval.models.checkpoints.merging import write_object
from rmeval.models.reward_model import RewardModel
from rmeval.models.text.tokenizer import render
from rmeval.models.text.tokenizer_files import SETTINGS, load_tokenizer
from rmeval.records import Conversation, Message

TALKS: tuple[Conversation, ...] = tuple(
    (Message("user", asked), Message("assistant", answered))
    for asked, answered in (("x", "7"), ("What is 2 + 2?", "It is 4.\n"))
)


class Text:
    """What a classifier or a backbone must be given, said by its own folder.

    The tokens around a text that the model's authors add in code are written by the template. The
    pad token is one that ends no text. Raises BadCheckpoint for what cannot be said so.
    """

    def __init__(self, model: RewardModel, pooled: bool) -> None:
        self._model = model
        self._tokenizer = model.tokenizer
        self._ids = [list(ids) for ids in model.read(TALKS)]
        before, after = self._around()
        template = self._tokenizer.chat_template
        self._template = f"{before}{template}{after}" if before or after else template
        self.pad = self._pad() if pooled else self._tokenizer.pad_token_id

    def write(self, folder: Path) -> None:
        """Writes the tokenizer's files and its chat template, and reads them again."""
        tokenizer = load_tokenizer(self._model.family.checkpoint.tokenizer_folder)
        tokenizer.chat_template = self._template
        if self.pad is not None:
            tokenizer.pad_token = tokenizer.convert_ids_to_tokens(self.pad)
        tokenizer.save_pretrained(folder)
        write_object(folder / SETTINGS, _as_of_4(read_object(folder / SETTINGS)))
        again = load_tokenizer(folder)
        again.day = self._tokenizer.day
        if [self._plain(again, talk) for talk in TALKS] != self._ids:
            raise self._refused("no chat template alone gives its texts and ids")

    def _around(self) -> tuple[str, str]:
        """Returns what a template must write around the model's own to give the model's ids."""
        found = set()
        for talk, ids in zip(TALKS, self._ids, strict=True):
            plain = self._plain(self._tokenizer, talk)
            starts = range(len(ids) - len(plain) + 1)
            start = next((at for at in starts if ids[at : at + len(plain)] == plain), None)
            if start is None:
                raise self._refused("its authors render texts in code, not by a chat template")
            found.add((tuple(ids[:start]), tuple(ids[start + len(plain) :])))
        if len(found) != 1:
            raise self._refused("the tokens that its authors add depend on the text")
        before, after = found.pop()
        if (before or after) and not isinstance(self._tokenizer.chat_template, str):
            raise self._refused("it has several chat templates, and adds tokens to each")
        return self._written(before), self._written(after)

    def _written(self, ids: tuple[int, ...]) -> str:
        """Returns a piece of a template that writes tokens."""
        tokens = "".join(map(str, self._tokenizer.convert_ids_to_tokens(list(ids))))
        return f"{{{{ {json.dumps(tokens, ensure_ascii=False)} }}}}" if tokens else ""

    def _plain(self, tokenizer: Any, talk: Conversation) -> list[int]:
        text = render(tokenizer, talk, 0)
        ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids

    def _pad(self) -> int | None:
        """Returns the pad token by which transformers' class reads the token that ours reads."""
        pool, tokenizer = self._model.network.pool, self._tokenizer
        if pool.rule != "last":
            return pool.pad_token_id
        ends = {ids[scored_place(_array(ids), pool)] for ids in self._ids}
        usual = (tokenizer.pad_token_id, tokenizer.unk_token_id, tokenizer.bos_token_id)
        known = range(self._model.network.vocab_size)
        for pad in (*usual, *sorted(tokenizer.added_tokens_decoder)):
            if pad is not None and pad not in ends and pad in known:
                return int(pad)
        raise self._refused("every special token may end a text, and none is left for padding")

    def _refused(self, reason: str) -> BadCheckpoint:
        return BadCheckpoint(f"{self._model.name} cannot be described by its files alone: {reason}")


def _as_of_4(settings: dict[str, Any]) -> dict[str, Any]:
    """Returns tokenizer_config.json in words that transformers 4 knows, and 5 still reads."""
    if settings.get("tokenizer_class") == "TokenizersBackend":
        settings["tokenizer_class"] = "PreTrainedTokenizerFast"
    if isinstance(settings.get("extra_special_tokens"), list):
        settings["additional_special_tokens"] = settings.pop("extra_special_tokens")
    return settings


def _array(ids: list[int]) -> Any:
    import numpy as np

    return np.asarray(ids, np.int32)
