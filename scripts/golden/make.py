"""Writes tests/golden_text: conversations, their text, token ids and scores, by others' code.

    python scripts/golden/make.py [NAME ...]

Needs transformers 4.57.6; README.md beside this file says what else, and what the rows hold.
"""

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import kinds
import networks
import pairs
import sentencepiece
import templates
import torch
import transformers
from folders import OUT, chosen, fresh, write_recipe, write_rows
from recipes import RECIPES, one_stripped, template_alone, tokenizer_adds
from transformers import AutoTokenizer

VERSION = "4.57.6"


class Golden(NamedTuple):
    """A folder: what its tokenizer, text, recipe and weights are."""

    kind: kinds.Kind
    template: str
    recipe: str
    network: str = "classifier"
    fast: bool = True
    pad: str | None = None  # config.json's padding token; None is the tokenizer's


T = templates
GOLDEN = {
    # every kind of tokenizer, under a plain classifier
    "gpt2": Golden(kinds.gpt2, T.CHATML, "plain"),
    "gpt2-without-json": Golden(kinds.gpt2_without_json, T.CHATML, "plain"),
    "smollm2": Golden(kinds.smollm2, T.CHATML, "plain"),
    "qwen2": Golden(kinds.qwen2, T.CHATML, "skywork-v2"),
    "qwen2-without-json": Golden(kinds.qwen2_without_json, T.CHATML, "plain"),
    "deepseek": Golden(kinds.deepseek, T.DEEPSEEK, "plain"),
    "llama2": Golden(kinds.llama2(None), T.LLAMA_2, "plain"),
    "llama2-legacy": Golden(kinds.llama2(True), T.LLAMA_2, "plain"),
    "llama2-not-legacy": Golden(kinds.llama2(False), T.LLAMA_2, "plain"),
    "llama2-metaspace": Golden(kinds.llama2_metaspace, T.LLAMA_2, "plain"),
    "llama2-plain-text": Golden(kinds.llama2(False), T.PLAIN, "plain text"),
    "llama2-metaspace-plain-text": Golden(kinds.llama2_metaspace, T.PLAIN, "plain text"),
    "mistral": Golden(kinds.sentencepiece_bpe(None), T.MISTRAL, "plain"),
    "mistral-legacy": Golden(kinds.sentencepiece_bpe(True), T.MISTRAL, "plain"),
    "mistral-not-legacy": Golden(kinds.sentencepiece_bpe(False), T.MISTRAL, "plain"),
    "mistral-plain-text": Golden(kinds.sentencepiece_bpe(True), T.PLAIN, "plain text"),
    "sentencepiece-added-json": Golden(kinds.sentencepiece_added_json, T.CHATML, "skywork-v0.1"),
    "sentencepiece-added-decoder": Golden(
        kinds.sentencepiece_added_decoder, T.CHATML, "skywork-v0.1"
    ),
    "yi-plain-text": Golden(kinds.yi, T.PLAIN, "plain text", fast=False),
    "sentencepiece-adds-end": Golden(kinds.sentencepiece_adds_end, T.PLAIN, "plain text"),
    "unigram-plain-text": Golden(kinds.unigram, T.PLAIN, "plain text"),
    "unigram": Golden(kinds.unigram, T.MISTRAL, "plain"),
    "gemma": Golden(kinds.gemma, T.GEMMA, "plain"),
    "wordpiece": Golden(kinds.wordpiece, T.PLAIN, "bert", "bert"),
    "wordpiece-json": Golden(kinds.wordpiece_json, T.PLAIN, "bert", "bert"),
    # every family, by its authors' recipe
    "plain": Golden(kinds.llama3, T.LLAMA_3, "plain"),
    "trl-pad-is-end": Golden(kinds.llama3, T.LLAMA_3, "pad is end", pad="<|eot_id|>"),
    "skywork-v0.1": Golden(kinds.llama3, T.LLAMA_3_WITHOUT_BOS, "skywork-v0.1"),
    "skywork-v0.2": Golden(kinds.llama3, T.LLAMA_3, "skywork-v0.2"),
    "skywork-v2": Golden(kinds.llama3, T.LLAMA_3, "skywork-v2"),
    "skywork-gemma": Golden(kinds.gemma, T.GEMMA_WITHOUT_BOS, "skywork-v0.1", "gemma2"),
    "fsfairx": Golden(kinds.llama3, T.LLAMA_3, "fsfairx"),
    "rm-mistral": Golden(kinds.llama2(False), T.MISTRAL, "fsfairx"),
    "rewardbench": Golden(kinds.llama3, T.LLAMA_3, "rewardbench", "rewardbench"),
    "grm-distill": Golden(kinds.llama3, T.LLAMA_3, "grm"),
    "grm-gemma": Golden(kinds.gemma, T.GEMMA, "grm"),
    "grm-sftreg": Golden(kinds.llama3, T.LLAMA_3, "grm", "grm"),
    "inf-orm": Golden(kinds.llama3, T.LLAMA_3, "inf-orm", "inform"),
    "nemotron": Golden(kinds.llama3, T.LLAMA_3, "nemotron", "causal"),
    "urm": Golden(kinds.llama3, T.LLAMA_3_WITHOUT_BOS, "urm", "urm"),
    "ultrarm": Golden(kinds.sentencepiece_bpe(None), T.ULTRARM, "ultrarm", "ultrarm"),
    "eurus": Golden(kinds.llama2(True), T.EURUS, "eurus", "eurus"),
    "beaver": Golden(kinds.sentencepiece_bpe(None), T.BEAVER, "beaver", "beaver"),
    "beaver-card": Golden(kinds.sentencepiece_bpe(None), T.BEAVER_CARD, "beaver-card", "beaver"),
    "starling": Golden(kinds.yi, T.YI, "starling", "starling", fast=False),
    "deberta": Golden(kinds.deberta, T.PAIR_OF_TEXTS, "deberta", "deberta"),
}


class Others:
    """What tokenizer.model gives elsewhere: transformers' other class, and sentencepiece."""

    def __init__(self, folder: Path, tokenizer: Any, *, adds: bool) -> None:
        path = folder / "tokenizer.model"
        self.adds, self.tokenizer = adds, tokenizer
        self.other: Any = None
        self.processor: Any = None
        if path.exists():
            self.name = "slow" if tokenizer.is_fast else "fast"
            self.other = AutoTokenizer.from_pretrained(folder, use_fast=not tokenizer.is_fast)
            self.processor = sentencepiece.SentencePieceProcessor(model_file=str(path))

    def decide(self, text: str, ids: list[int]) -> dict[str, Any]:
        """Returns "ids", and those of others where they differ; sentencepiece's where it can."""
        if self.processor is None:
            return {"ids": ids}
        known = {("fast", "slow")[self.name == "fast"]: ids}
        known[self.name] = self.other(text, add_special_tokens=self.adds)["input_ids"]
        own, by = ids, {}
        specials = [*self.tokenizer.all_special_tokens, *self.tokenizer.get_added_vocab()]
        if not any(special in text for special in specials):
            begins = self.adds and getattr(self.tokenizer, "add_bos_token", False)
            ends = self.adds and getattr(self.tokenizer, "add_eos_token", False)
            own = [self.processor.bos_id()] * begins + self.processor.encode(text)
            own += [self.processor.eos_id()] * ends
            by = {"by": "sentencepiece"}
        return {**by, "ids": own, **{name: row for name, row in known.items() if row != own}}


def under(tokenizer: Any, messages: Any, ids: list[int]) -> dict[str, Any]:
    """Returns the ids under the policies that give others than the template alone."""
    begun = tokenizer("x")["input_ids"][0] == tokenizer.bos_token_id
    policies = {"tokenizer": tokenizer_adds, **({"once": one_stripped} if begun else {})}
    found = {name: adds(tokenizer, messages)[1] for name, adds in policies.items()}
    found = {name: row for name, row in found.items() if row != ids}
    return {"under": found} if found else {}


def make(name: str, golden: Golden) -> None:
    folder, recipe = OUT / name, RECIPES[golden.recipe]
    tokenizer = fresh(folder, golden.kind, golden.template, fast=golden.fast)
    pad = golden.pad or tokenizer.pad_token
    padded = {} if pad is None else {"pad_token_id": tokenizer.convert_tokens_to_ids(pad)}
    model = networks.write(golden.network, folder, **padded)
    alone = recipe.make is template_alone
    others = Others(folder, tokenizer, adds=not alone)
    rows = []
    for talk in chosen(recipe):
        text, ids = recipe.make(tokenizer, talk.messages)
        row: dict[str, Any] = {"name": talk.name, "messages": talk.messages, "text": text}
        row |= others.decide(text, ids)
        if alone:
            row |= under(tokenizer, talk.messages, ids)
        assert max(row["ids"]) < networks.VOCABULARY
        rows.append({**row, "score": networks.score(golden.network, model, row["ids"])})
    write_rows(folder, rows)
    write_recipe(folder, recipe)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("names", nargs="*")
    names = parser.parse_args().names
    assert transformers.__version__ == VERSION, f"needs transformers {VERSION}"
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    makers: dict[str, Callable[[], None]] = {
        name: partial(make, name, golden) for name, golden in GOLDEN.items()
    }
    makers |= {"dpo": pairs.dpo, "pair-pm": pairs.pair_pm, "pairrm": pairs.pairrm}
    for name in names or makers:
        makers[name]()
        print(name)


if __name__ == "__main__":
    main()
