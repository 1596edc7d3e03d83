"""Tiny tokenizers of every kind that reward models come with, written as their checkpoints are.

Each kind is a function that writes the files of a tokenizer into a folder. What the files say
(pre-tokenizer, normalizer, class, flags) is as in the repositories named; the vocabulary is learnt
from `conversations.LEARNT`.
"""

import io
import json
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import sentencepiece
from conversations import LEARNT
from sentencepiece import sentencepiece_model_pb2
from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from transformers import BertTokenizerFast, DebertaV2TokenizerFast, LlamaTokenizerFast

ENTRIES = 560  # of a byte-level vocabulary
PIECES = 560  # of sentencepiece's: 256 of them are bytes
LLAMA_3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN_2 = LLAMA_3.replace(r"\p{N}{1,3}", r"\p{N}")
DEEPSEEK = [
    "[\r\n]",
    r"\s?\p{L}+",
    r"\s?\p{P}+",
    r"\s+$",
    "[一-龥ࠀ-一가-퟿]+",
]
LLAMA_3_SPECIALS = (
    "<|begin_of_text|>",
    "<|end_of_text|>",
    "<|start_header_id|>",
    "<|end_header_id|>",
    "<|eot_id|>",
    "<|finetune_right_pad_id|>",
)
Kind = Callable[[Path], None]


def _write(folder: Path, name: str, content: Any) -> None:
    text = json.dumps(content, ensure_ascii=False, indent=1)
    (folder / name).write_text(text + "\n", encoding="utf-8")


def _split(pattern: str) -> Any:
    return pre_tokenizers.Split(Regex(pattern), "isolated")


def _bytes(*, regex: bool) -> Any:
    return pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=regex)


def _byte_level(before: Any, normalizer: Any = None) -> Tokenizer:
    """Learns across words, digits and marks, so that only `before` can keep them apart."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = _bytes(regex=False)
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=ENTRIES, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(LEARNT, trainer)
    tokenizer.pre_tokenizer = before
    return tokenizer


def _begin_with(tokenizer: Tokenizer, bos: str) -> None:
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{bos} $A",
        pair=f"{bos} $A {bos} $B",
        special_tokens=[(bos, tokenizer.token_to_id(bos))],
    )


def _save(
    folder: Path, tokenizer: Tokenizer, class_name: str, specials: Sequence[str], **settings: Any
) -> None:
    tokenizer.save(str(folder / "tokenizer.json"))
    ids = {tokenizer.token_to_id(special): special for special in specials}
    _settings(folder, class_name, {i: s for i, s in ids.items() if i is not None}, **settings)


def _settings(folder: Path, class_name: str, added: dict[int, str], **settings: Any) -> None:
    flags = {"lstrip": False, "normalized": False, "rstrip": False, "single_word": False}
    decoder = {
        str(index): {"content": added[index], **flags, "special": True} for index in sorted(added)
    }
    _write(
        folder,
        "tokenizer_config.json",
        {
            "added_tokens_decoder": decoder,
            "clean_up_tokenization_spaces": False,
            "model_max_length": 2048,
            "tokenizer_class": class_name,
            **settings,
        },
    )


def _add(tokenizer: Tokenizer, specials: Sequence[str]) -> None:
    tokenizer.add_special_tokens([AddedToken(s, normalized=False) for s in specials])


def _merged(folder: Path) -> None:
    """Leaves vocab.json and merges.txt in place of tokenizer.json."""
    written = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    _write(folder, "vocab.json", written["model"]["vocab"])
    merges = [m if isinstance(m, str) else " ".join(m) for m in written["model"]["merges"]]
    lines = ["#version: 0.2", *merges]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / "tokenizer.json").unlink()


CHATML = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")


def gpt2(folder: Path) -> None:
    """GPT-2's own pre-tokenizer, as in OpenAI's and Pythia's repositories."""
    tokenizer = _byte_level(_bytes(regex=True))
    _add(tokenizer, CHATML)
    end = CHATML[0]
    _save(folder, tokenizer, "GPT2Tokenizer", CHATML, bos_token=end, eos_token=end, unk_token=end)


def gpt2_without_json(folder: Path) -> None:
    """The same as vocab.json and merges.txt alone: special tokens stand in the vocabulary."""
    gpt2(folder)
    written = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    vocabulary = written["model"]["vocab"]
    vocabulary |= {token["content"]: token["id"] for token in written["added_tokens"]}
    _write(folder, "tokenizer.json", written)
    _merged(folder)


def smollm2(folder: Path) -> None:
    """HuggingFaceTB/SmolLM2: digits one by one, then GPT-2's; the class is GPT2Tokenizer."""
    digits = pre_tokenizers.Digits(individual_digits=True)
    tokenizer = _byte_level(pre_tokenizers.Sequence([digits, _bytes(regex=True)]))
    _add(tokenizer, CHATML)
    _save(
        folder,
        tokenizer,
        "GPT2Tokenizer",
        CHATML,
        bos_token=CHATML[1],
        eos_token=CHATML[2],
        unk_token=CHATML[0],
        pad_token=CHATML[2],
    )


def llama3(folder: Path) -> None:
    """meta-llama/Meta-Llama-3: digits in threes, BOS by the post-processor."""
    tokenizer = _byte_level(pre_tokenizers.Sequence([_split(LLAMA_3), _bytes(regex=False)]))
    tokenizer.model.ignore_merges = True
    _add(tokenizer, LLAMA_3_SPECIALS)
    _begin_with(tokenizer, LLAMA_3_SPECIALS[0])
    _save(
        folder,
        tokenizer,
        "PreTrainedTokenizerFast",
        LLAMA_3_SPECIALS,
        bos_token=LLAMA_3_SPECIALS[0],
        eos_token=LLAMA_3_SPECIALS[4],
        pad_token=LLAMA_3_SPECIALS[5],
        model_input_names=["input_ids", "attention_mask"],
    )


def qwen2(folder: Path) -> None:
    """Qwen/Qwen2: NFC, every digit alone, no BOS; tokenizer.json, vocab.json and merges.txt."""
    before = pre_tokenizers.Sequence([_split(QWEN_2), _bytes(regex=False)])
    tokenizer = _byte_level(before, normalizers.NFC())
    _add(tokenizer, CHATML)
    _save(
        folder,
        tokenizer,
        "Qwen2Tokenizer",
        CHATML,
        add_prefix_space=False,
        bos_token=None,
        eos_token=CHATML[2],
        pad_token=CHATML[0],
        unk_token=None,
        errors="replace",
        split_special_tokens=False,
    )
    kept = (folder / "tokenizer.json").read_text(encoding="utf-8")
    _merged(folder)
    (folder / "tokenizer.json").write_text(kept, encoding="utf-8")


def qwen2_without_json(folder: Path) -> None:
    """The same as vocab.json and merges.txt alone."""
    qwen2(folder)
    (folder / "tokenizer.json").unlink()


def deepseek(folder: Path) -> None:
    """deepseek-ai/deepseek-llm: a sequence of splits, under the class LlamaTokenizerFast."""
    digits = pre_tokenizers.Digits(individual_digits=True)
    splits = [*map(_split, DEEPSEEK), digits, _bytes(regex=False)]
    tokenizer = _byte_level(pre_tokenizers.Sequence(splits), normalizers.Sequence([]))
    specials = ("<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", "<｜▁pad▁｜>")
    turns = ("<｜User｜>", "<｜Assistant｜>")
    _add(tokenizer, specials)
    tokenizer.add_tokens([AddedToken(turn, normalized=True) for turn in turns])
    _begin_with(tokenizer, specials[0])
    tokenizer.save(str(folder / "tokenizer.json"))
    tokens = ("bos_token", "eos_token", "pad_token")
    described = {
        name: {
            "__type": "AddedToken",
            "content": special,
            "lstrip": False,
            "normalized": True,
            "rstrip": False,
            "single_word": False,
        }
        for name, special in zip(tokens, specials, strict=True)
    }
    _write(
        folder,
        "tokenizer_config.json",
        {
            "add_bos_token": True,
            "add_eos_token": False,
            "clean_up_tokenization_spaces": False,
            "legacy": True,
            "model_max_length": 2048,
            "sp_model_kwargs": {},
            "unk_token": None,
            "tokenizer_class": "LlamaTokenizerFast",
            **described,
        },
    )


def _sentencepiece(path: Path, **options: Any) -> None:
    """Trains a model that takes text as it is, as Llama's and Gemma's do."""
    model = io.BytesIO()
    settings = {
        "vocab_size": PIECES,
        "model_type": "bpe",
        "byte_fallback": True,
        "normalization_rule_name": "identity",
        "remove_extra_whitespaces": False,
        "allow_whitespace_only_pieces": True,
        "split_digits": True,
        "character_coverage": 0.985,
        "num_threads": 1,
        "minloglevel": 2,
    }
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(LEARNT), model_writer=model, **{**settings, **options}
    )
    proto = sentencepiece_model_pb2.ModelProto.FromString(model.getvalue())
    proto.normalizer_spec.ClearField("normalization_rule_tsv")  # a path on this machine
    path.write_bytes(proto.SerializeToString(deterministic=True))


LLAMA_TOKENS = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
LLAMA_ADDED = {0: "<unk>", 1: "<s>", 2: "</s>"}


def _llama(folder: Path, class_name: str, legacy: bool | None, **settings: Any) -> None:
    said = {} if legacy is None else {"legacy": legacy}
    _settings(
        folder,
        class_name,
        LLAMA_ADDED,
        **LLAMA_TOKENS,
        **{
            "add_bos_token": True,
            "add_eos_token": False,
            "sp_model_kwargs": {},
            **said,
            **settings,
        },
    )


def _llama_json(folder: Path, *, legacy: bool) -> None:
    """tokenizer.json as transformers itself makes it of tokenizer.model."""
    with TemporaryDirectory() as where:
        _sentencepiece(Path(where) / "tokenizer.model")
        fast = LlamaTokenizerFast(
            vocab_file=str(Path(where) / "tokenizer.model"),
            legacy=legacy,
            from_slow=True,
            add_prefix_space=True,
        )
        fast.backend_tokenizer.save(str(folder / "tokenizer.json"))


def llama2(legacy: bool | None) -> Kind:
    """Llama-2, Vicuna, Tulu-2: normalizer Prepend and Replace, no pre-tokenizer."""

    def write(folder: Path) -> None:
        _llama_json(folder, legacy=True)
        _llama(folder, "LlamaTokenizer", legacy)

    return write


def llama2_metaspace(folder: Path) -> None:
    """The newer layout: pre-tokenizer Metaspace with prepend_scheme "first"."""
    _llama_json(folder, legacy=False)
    _llama(folder, "LlamaTokenizerFast", False)


def sentencepiece_bpe(legacy: bool | None) -> Kind:
    """Mistral's and Llama's tokenizer.model without a tokenizer.json: dummy prefix, bytes."""

    def write(folder: Path) -> None:
        _sentencepiece(folder / "tokenizer.model")
        _llama(folder, "LlamaTokenizer", legacy)

    return write


def sentencepiece_adds_end(folder: Path) -> None:
    """add_eos_token: the tokenizer ends every text, as where a reward model was so trained."""
    _sentencepiece(folder / "tokenizer.model")
    _llama(folder, "LlamaTokenizer", False, add_eos_token=True)


def sentencepiece_added_json(folder: Path) -> None:
    """An older layout: special tokens in added_tokens.json and special_tokens_map.json."""
    _sentencepiece(folder / "tokenizer.model")
    _write(folder, "added_tokens.json", {"<|im_end|>": PIECES + 1, "<|im_start|>": PIECES})
    _write(
        folder,
        "special_tokens_map.json",
        {**LLAMA_TOKENS, "additional_special_tokens": ["<|im_start|>", "<|im_end|>"]},
    )
    _write(
        folder,
        "tokenizer_config.json",
        {
            "add_bos_token": True,
            "add_eos_token": False,
            "model_max_length": 2048,
            "tokenizer_class": "LlamaTokenizer",
            **LLAMA_TOKENS,
        },
    )


def sentencepiece_added_decoder(folder: Path) -> None:
    """Special tokens beyond tokenizer.model in added_tokens_decoder."""
    _sentencepiece(folder / "tokenizer.model")
    added = {**LLAMA_ADDED, PIECES: "<|im_start|>", PIECES + 1: "<|im_end|>"}
    _settings(
        folder,
        "LlamaTokenizer",
        added,
        add_bos_token=True,
        add_eos_token=False,
        additional_special_tokens=["<|im_start|>", "<|im_end|>"],
        legacy=False,
        sp_model_kwargs={},
        **LLAMA_TOKENS,
    )


def yi(folder: Path) -> None:
    """01-ai/Yi-34B-Chat: no dummy prefix, no BOS, ChatML's tokens among the pieces."""
    symbols = ["<|im_start|>", "<|im_end|>"]
    _sentencepiece(folder / "tokenizer.model", add_dummy_prefix=False, user_defined_symbols=symbols)
    _settings(
        folder,
        "LlamaTokenizer",
        {**LLAMA_ADDED, 3: symbols[0], 4: symbols[1]},
        add_bos_token=False,
        add_eos_token=False,
        legacy=True,
        sp_model_kwargs={},
        **LLAMA_TOKENS,
    )


def gemma(folder: Path) -> None:
    """google/gemma: no dummy prefix, pieces of many blanks, bos <bos>, class GemmaTokenizer."""
    symbols = ["<start_of_turn>", "<end_of_turn>", *("\n" * n for n in range(1, 4))]
    symbols += ["▁" * n for n in range(2, 6)]
    _sentencepiece(
        folder / "tokenizer.model",
        add_dummy_prefix=False,
        user_defined_symbols=symbols,
        pad_id=0,
        eos_id=1,
        bos_id=2,
        unk_id=3,
        pad_piece="<pad>",
        eos_piece="<eos>",
        bos_piece="<bos>",
    )
    added = dict(enumerate(["<pad>", "<eos>", "<bos>", "<unk>", *symbols[:2]]))
    _settings(
        folder,
        "GemmaTokenizer",
        added,
        add_bos_token=True,
        add_eos_token=False,
        additional_special_tokens=symbols[:2],
        bos_token="<bos>",
        eos_token="<eos>",
        pad_token="<pad>",
        unk_token="<unk>",
        sp_model_kwargs={},
    )


def unigram(folder: Path) -> None:
    """A unigram model under LlamaTokenizer, with bytes to fall back on."""
    _sentencepiece(folder / "tokenizer.model", model_type="unigram", vocab_size=510)
    _llama(folder, "LlamaTokenizer", True)


def deberta(folder: Path, extra: Sequence[str] = ()) -> None:
    """microsoft/deberta-v3: unigram in spm.model, [CLS] and [SEP]; no bytes.

    Of its normalizer (nmt_nfkc, 240 kB) some rules: white space is a blank, wide digits are digits.
    """
    rules = {0x9: 0x20, 0xA: 0x20, 0xD: 0x20, 0xA0: 0x20, 0xFF11: 0x31, 0xFF12: 0x32, 0xFF13: 0x33}
    table = folder / "rules.tsv"
    table.write_text("".join(f"{found:X}\t{made:X}\n" for found, made in rules.items()))
    _sentencepiece(
        folder / "spm.model",
        model_type="unigram",
        byte_fallback=False,
        vocab_size=280,
        character_coverage=1.0,
        remove_extra_whitespaces=True,
        normalization_rule_tsv=str(table),
        normalization_rule_name="",
        pad_id=0,
        bos_id=1,
        eos_id=2,
        unk_id=3,
        pad_piece="[PAD]",
        bos_piece="[CLS]",
        eos_piece="[SEP]",
        unk_piece="[UNK]",
    )
    table.unlink()
    _write(
        folder,
        "tokenizer_config.json",
        {
            "do_lower_case": False,
            "vocab_type": "spm",
            "tokenizer_class": "DebertaV2Tokenizer",
            "model_max_length": 2048,
        },
    )
    if extra:  # as saved by transformers: tokenizer.json and all the rest
        fast = DebertaV2TokenizerFast.from_pretrained(folder)
        fast.add_special_tokens({"additional_special_tokens": list(extra)})
        fast.save_pretrained(folder)


def pairrm(folder: Path) -> None:
    """llm-blender/PairRM-hf: DeBERTa-v3's with the three markers."""
    deberta(folder, ("<|source|>", "<|candidate1|>", "<|candidate2|>", "<|candidate|>"))


def wordpiece(folder: Path) -> None:
    """google-bert/bert-base-uncased: vocab.txt alone, lower-cased."""
    normalizer = normalizers.BertNormalizer(lowercase=True)
    splitter = pre_tokenizers.BertPreTokenizer()
    counted: Counter[str] = Counter()  # transformers' trainer gives another vocabulary every time
    for line in LEARNT:
        for word, _ in splitter.pre_tokenize_str(normalizer.normalize_str(line)):
            counted[word] += 3
            counted.update(f"##{word[cut:]}" for cut in range(1, len(word)))
            counted.update(word[:cut] for cut in range(1, len(word)))
    letters = sorted({piece for piece in counted if len(piece.removeprefix("##")) == 1})
    pieces = sorted(counted, key=lambda piece: (-counted[piece], piece))
    whole = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters]
    whole += [piece for piece in pieces if piece not in letters]
    (folder / "vocab.txt").write_text("".join(f"{p}\n" for p in whole[:PIECES]), encoding="utf-8")
    _write(
        folder,
        "tokenizer_config.json",
        {"do_lower_case": True, "model_max_length": 512, "tokenizer_class": "BertTokenizer"},
    )


def wordpiece_json(folder: Path) -> None:
    """The same with a tokenizer.json, which has no vocab.txt beside it."""
    wordpiece(folder)
    BertTokenizerFast.from_pretrained(folder).save_pretrained(folder)
    (folder / "vocab.txt").unlink()
