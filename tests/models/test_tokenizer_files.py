"""A tokenizer gives its file's own ids, whatever class the files name and whoever reads them."""

import json
from itertools import product
from shutil import copytree

import pytest
from conftest import GOLDEN_TEXT
from sentencepiece import SentencePieceProcessor
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

import rmeval
from rmeval.errors import BadCheckpoint
from rmeval.llm.generator import LocalGenerator
from rmeval.models.text import tokenizer_files
from rmeval.models.text.tokenizer_files import PROBES, load_tokenizer, tokenizer_provenance

MODEL_TYPES = ["llama", "mistral", "qwen2", "gemma", "gpt2", "opt"]
CLASSES = [
    *("PreTrainedTokenizerFast", "LlamaTokenizer", "LlamaTokenizerFast", "GPT2Tokenizer"),
    *("GPT2TokenizerFast", "Qwen2Tokenizer", "Qwen2TokenizerFast", "GemmaTokenizer"),
    *("CodeLlamaTokenizer", "CohereTokenizer", "GPTNeoXTokenizer", "TokenizersBackend", None),
]
SPECIALS = ["<s>", "</s>", "<|im_end|>"]


def byte_level(folder):
    """A tokenizer.json whose pre-tokenizer no class has: digits alone, then bytes."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {text: index for index, text in enumerate([*SPECIALS, *letters])}
    merges = [("Ġ", "Ġ"), ("1", "0"), ("o", "w"), ("e", "f"), ("Ã", "©")]
    vocabulary |= {"".join(pair): len(vocabulary) + at for at, pair in enumerate(merges)}
    tokenizer = Tokenizer(models.BPE(vocabulary, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(text, normalized=False) for text in SPECIALS])
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


def declare(folder, model_type, name, **settings):
    settings = {"bos_token": "<s>", "eos_token": "</s>", "tokenizer_class": name, **settings}
    settings = {key: value for key, value in settings.items() if value is not None}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    (folder / "config.json").write_text(json.dumps({"model_type": model_type}))


def test_no_class_and_no_model_type_changes_the_files_ids(tmp_path):
    folder = byte_level(tmp_path)
    own = Tokenizer.from_file(str(folder / "tokenizer.json"))
    texts = [*PROBES, "x<|im_end|>  2048</s> y"]
    expected = [found.ids for found in own.encode_batch(texts, add_special_tokens=False)]
    for model_type, name in product(MODEL_TYPES, CLASSES):
        declare(folder, model_type, name)
        ids = load_tokenizer(folder)(texts, add_special_tokens=False)["input_ids"]
        assert ids == expected, (model_type, name)


@pytest.mark.parametrize("name", ["LlamaTokenizer", "GPT2Tokenizer"])
def test_a_language_model_that_generates_reads_by_the_same_ids(tmp_path, name):
    folder = byte_level(tmp_path)
    own = Tokenizer.from_file(str(folder / "tokenizer.json"))
    declare(folder, "llama", name, chat_template="{{ messages[0]['content'] }}")
    generator = LocalGenerator(str(folder), device="cpu", batch=1)
    assert generator.count_tokens(PROBES[0]) == len(own.encode(PROBES[0]).ids)
    assert generator.encode((rmeval.Message("user", "2048"),), 0) == own.encode("2048").ids


def test_what_was_loaded_otherwise_is_an_error_that_names_both(tmp_path, monkeypatch):
    folder = byte_level(tmp_path)
    declare(folder, "llama", "LlamaTokenizer")
    other = Tokenizer.from_file(str(folder / "tokenizer.json"))
    other.pre_tokenizer = pre_tokenizers.ByteLevel(False)

    class Another:
        def __init__(self):
            self.added_tokens_decoder = {}

        def __call__(self, text, add_special_tokens):
            return {"input_ids": other.encode(text, add_special_tokens=False).ids}

    monkeypatch.setattr(tokenizer_files, "_load", lambda *_: Another())
    with pytest.raises(BadCheckpoint, match=r"tokenizer\.json: what was loaded reads .* the file"):
        load_tokenizer(folder)


@pytest.mark.parametrize(
    ("flags", "before", "after"),
    [
        ({}, ["<s>"], []),
        ({"add_bos_token": False}, [], []),
        ({"add_eos_token": True}, ["<s>"], ["</s>"]),
    ],
)
def test_llamas_class_adds_what_its_flags_say(tmp_path, flags, before, after):
    """As transformers 4.57.6's LlamaTokenizerFast does, from a file without a post-processor."""
    folder = byte_level(tmp_path)
    declare(folder, "llama", "LlamaTokenizer", **flags)
    tokens = load_tokenizer(folder)("x").tokens()
    assert tokens == [*before, "x", *after]
    declare(folder, "llama", "GPT2Tokenizer", **flags)
    assert load_tokenizer(folder)("x").tokens() == ["x"]


@pytest.mark.parametrize("name", ["mistral-legacy", "gemma", "unigram", "starling"])
def test_sentencepiece_models_give_sentencepieces_own_ids(name):
    folder = GOLDEN_TEXT / name
    own = SentencePieceProcessor(model_file=str(folder / "tokenizer.model"))
    texts = [*PROBES, "", " ", "a  b   c    d", "   begins", "ends   ", "<0x0A> x"]
    ids = load_tokenizer(folder)(texts, add_special_tokens=False)["input_ids"]
    assert ids == [own.encode(text) for text in texts]


def test_the_provenance_says_what_read_which_file(tmp_path):
    folder = byte_level(tmp_path)
    declare(folder, "llama", "LlamaTokenizer")
    said = tokenizer_provenance(folder)
    assert (said["file"], said["read_by"]) == ("tokenizer.json", "tokenizers")
    declare(folder, "llama", "LlamaTokenizer", add_bos_token=False)
    assert tokenizer_provenance(folder)["sha256"] != said["sha256"]
    assert tokenizer_provenance(GOLDEN_TEXT / "gemma")["read_by"] == "sentencepiece"


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("tokenizer.json", "{}"),
        ("tokenizer.json", "["),
        (
            "tokenizer.json",
            '{"version": "1.0", "model": {"type": "BPE", "vocab": {}, "merges": 3}}',
        ),
        ("tokenizer_config.json", "[]"),
        ("tokenizer_config.json", '{"bos_token": 3}'),
        ("tokenizer_config.json", '{"added_tokens_decoder": {"x": {}}}'),
    ],
)
def test_a_damaged_file_is_one_line_that_names_it(tmp_path, file, content):
    folder = byte_level(tmp_path)
    declare(folder, "llama", "LlamaTokenizer")
    (folder / file).write_text(content)
    with pytest.raises(BadCheckpoint, match="tokenizer"):
        load_tokenizer(folder)


def test_a_damaged_sentencepiece_model_is_named(tmp_path):
    folder = copytree(GOLDEN_TEXT / "gemma", tmp_path / "model")
    (folder / "tokenizer.model").write_bytes(b"\x00nothing")
    with pytest.raises(BadCheckpoint, match=r"tokenizer\.model"):
        load_tokenizer(folder)
