"""A checkpoint's tokenizer as its files have it, without remote code, and held to them.

transformers 5 rebuilds many tokenizers from their class and drops what tokenizer.json says, so the
same files give other ids than those that a model was trained with. Here tokenizer.json is read as
it is, tokenizer.model as sentencepiece reads it, and only what has neither by the class that
tokenizer_config.json names. What was loaded must then give the files' own ids.
"""

import hashlib
import inspect
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import takewhile
from pathlib import Path
from typing import Any

from rmeval.errors import BadCheckpoint, Blaming
from rmeval.files import reading
from rmeval.models.checkpoints.json_files import read_object
from rmeval.models.text.sentencepiece_file import read_sentencepiece

TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer.model",
    "spiece.model",
    "spm.model",
    "sentencepiece.bpe.model",
    "vocab.json",
    "vocab.txt",
)
SENTENCEPIECE = ("tokenizer.model", "spm.model")  # whose ids are the pieces' own
SETTINGS = "tokenizer_config.json"
BESIDE = (SETTINGS, "special_tokens_map.json", "added_tokens.json", "merges.txt")
SPECIAL_NAMES = (
    "bos_token",
    "eos_token",
    "unk_token",
    "pad_token",
    "sep_token",
    "cls_token",
    "mask_token",
)
# Texts on which ways to read a file differ. Each begins with a letter: what stands before a first
# space is a setting of the class, not of sentencepiece.
PROBES = (
    "Two  spaces,   three,\n\tname_1 = 0x2F; i=2048*1024",
    "def f(x):\n    if x > 10:\n        return  x\n\n\n    # naïve café",
    "I'll can't WE'VE don't; e\u0301 n\u0303 \u0939\u093f\u0928\u094d\u0926\u0940",
    "x 你好，世界。 안녕 こんにちは العربية 🎉 👩\u200d👩\u200d👧 \u200b\u00a0y",
)
FLAGGED = ("LlamaTokenizer", "CodeLlamaTokenizer", "GemmaTokenizer", "CohereTokenizer")


def load_tokenizer(folder: Path) -> Any:
    """Returns transformers' tokenizer for a checkpoint's folder.

    Raises BadCheckpoint for files that are missing or damaged, and where what was loaded gives
    other ids than they do.
    """
    source, settings = tokenizer_file(folder), tokenizer_settings(folder)
    with _reading(source), ThreadPoolExecutor(1) as pool:
        parsed = pool.submit(_own, source)  # a second of another core for 128,000 tokens
        named = _class_of(folder, settings)
        tokenizer, own = _load(source, named, settings), parsed.result()
        if hasattr(tokenizer, "backend_tokenizer"):
            _name_specials(tokenizer, named, settings)
            _set_added(tokenizer, own, source, named, settings)
        _require_own_ids(tokenizer, own, source)
    return tokenizer


def tokenizer_file(folder: Path) -> Path:
    """Returns the file that a folder's tokenizer is read from. Raises BadCheckpoint."""
    for name in TOKENIZER_FILES:
        if (folder / name).exists():
            return folder / name
    raise BadCheckpoint(
        f"{folder}: no tokenizer ({', '.join(TOKENIZER_FILES[:2])}, …); "
        "without one only token ids can be scored (score_tokens)"
    )


def has_tokenizer(folder: Path) -> bool:
    """Whether a checkpoint's folder has the files of a tokenizer."""
    return any((folder / file).exists() for file in TOKENIZER_FILES)


def tokenizer_provenance(folder: Path) -> dict[str, str]:
    """Returns the file that ids come from, what reads it, and a hash of it and those beside it."""
    source = tokenizer_file(folder)
    sha = hashlib.sha256()
    for name in (source.name, *BESIDE):
        if (folder / name).is_file():
            with reading(folder / name, BadCheckpoint):
                content = (folder / name).read_bytes()
            sha.update(name.encode() + hashlib.sha256(content).digest())
    reader = "sentencepiece" if source.name in SENTENCEPIECE else "transformers' class"
    reader = "tokenizers" if source.name == "tokenizer.json" else reader
    return {"file": source.name, "read_by": reader, "sha256": sha.hexdigest()}


def tokenizer_settings(folder: Path) -> dict[str, Any]:
    """Returns tokenizer_config.json, or nothing where there is none. Raises BadCheckpoint."""
    return read_object(folder / SETTINGS) if (folder / SETTINGS).exists() else {}


def require_own_ids(tokenizer: Any, folder: Path) -> None:
    """Holds a tokenizer to its folder's file, on texts that tell ways to read it apart.

    The other side is `tokenizers` for tokenizer.json and sentencepiece for its models; vocab.json
    and vocab.txt do not say how a text is split, so there the class has the only word.
    Raises BadCheckpoint, naming a text and both.
    """
    source = tokenizer_file(folder)
    with _reading(source):
        _require_own_ids(tokenizer, _own(source), source)


def _reading(source: Path) -> Blaming:
    return Blaming(BadCheckpoint, f"{source}: this tokenizer cannot be read")


def _own(source: Path) -> Any:
    """Returns a file as the library reads it that made it, or None where there is none."""
    if source.name == "tokenizer.json":
        from tokenizers import Tokenizer

        own = Tokenizer.from_file(str(source))
        own.no_truncation()
        return own
    if source.suffix == ".model":
        from sentencepiece import SentencePieceProcessor, set_min_log_level

        set_min_log_level(2)  # InternLM2's model makes it warn about a piece that is a NUL
        return SentencePieceProcessor(model_file=str(source))
    return None


def _require_own_ids(tokenizer: Any, own: Any, source: Path) -> None:
    if source.suffix == ".model":
        _require_pieces(tokenizer, own, source)
    elif own is not None:
        known = {token.content for token in own.get_added_tokens_decoder().values()}
        added = [token for _, token in sorted(tokenizer.added_tokens_decoder.items())]
        own.add_tokens([token for token in added if token.content not in known])
        for text in (*PROBES, *(f"a {token.content}b" for token in added)):
            given = tokenizer(text, add_special_tokens=False)["input_ids"]
            _require_same(source, text, given, own.encode(text, add_special_tokens=False).ids)


def _require_pieces(tokenizer: Any, own: Any, source: Path) -> None:
    """Compares by the words for tokens, since some classes move ids; added tokens stay whole."""
    unmarked = tokenizer_settings(source.parent).get("add_prefix_space") is False
    lowered = getattr(tokenizer, "do_lower_case", False) is True
    added = [token.content for token in tokenizer.added_tokens_decoder.values()]

    def pieces(text: str) -> list[str]:
        unknown, ids = own.unk_id(), own.encode(text.lower() if lowered else text)
        return [tokenizer.unk_token if i == unknown else own.id_to_piece(i) for i in ids]

    def tokens(text: str) -> list[str]:
        # " x" without a mark before the first word is "x" with one, as sentencepiece writes it
        shown = f" {text}" if unmarked and pieces(text) != pieces(f" {text}") else text
        ids = tokenizer(shown, add_special_tokens=False)["input_ids"]
        return list(tokenizer.convert_ids_to_tokens(ids))

    for text in PROBES:
        _require_same(source, text, tokens(text), pieces(text))
    for token in added:
        _require_same(source, f"x{token}", tokens(f"x{token}"), [*pieces("x"), token])


def _require_same(source: Path, text: str, given: list[Any], own: list[Any]) -> None:
    if given != own:
        at = sum(
            1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(given, own, strict=False))
        )
        raise BadCheckpoint(
            f"{source}: what was loaded reads {text[:40]!r} as {given[at : at + 4]}, the file "
            f"itself as {own[at : at + 4]}; its scores would be of other tokens"
        )


def _load(source: Path, named: Any, settings: Mapping[str, Any]) -> Any:
    from transformers import AutoTokenizer, PreTrainedTokenizerFast

    folder = source.parent
    if source.name == "tokenizer.json":
        return PreTrainedTokenizerFast.from_pretrained(folder)
    if source.name in SENTENCEPIECE:
        backend = read_sentencepiece(source, settings)
        added = backend.get_added_tokens_decoder()  # or those of older files are made anew
        return PreTrainedTokenizerFast.from_pretrained(
            folder, tokenizer_object=backend, added_tokens_decoder=added
        )
    return (named or AutoTokenizer).from_pretrained(folder, trust_remote_code=False)


def _class_of(folder: Path, settings: Mapping[str, Any]) -> Any:
    """Returns transformers' class for a folder's tokenizer, or None where it knows none."""
    from transformers.models.auto.tokenization_auto import (
        TOKENIZER_MAPPING_NAMES,
        tokenizer_class_from_name,
    )

    config = read_object(folder / "config.json") if (folder / "config.json").exists() else {}
    of_model = TOKENIZER_MAPPING_NAMES.get(config.get("model_type"))
    name = settings.get("tokenizer_class") or config.get("tokenizer_class") or of_model
    return tokenizer_class_from_name(name) if isinstance(name, str) else None


def _name_specials(tokenizer: Any, named: Any, settings: Mapping[str, Any]) -> None:
    """Gives a tokenizer those names of special tokens that only its class has."""
    defaults = inspect.signature(named.__init__).parameters if named else {}
    known = tokenizer.backend_tokenizer.token_to_id
    for name in SPECIAL_NAMES:
        default = defaults[name].default if name in defaults else None
        given = name in settings or getattr(tokenizer, name) is not None
        if not given and isinstance(default, str) and known(default) is not None:
            setattr(tokenizer, name, default)


def _set_added(
    tokenizer: Any, own: Any, source: Path, named: Any, settings: Mapping[str, Any]
) -> None:
    """Has a tokenizer add to a text what transformers 4 had it add, under any version.

    That is what tokenizer.json says, or [CLS] and [SEP] where a class has them; but LlamaTokenizer
    and those made from it, which read a tokenizer.model too, go by `add_bos_token` and
    `add_eos_token`.
    """
    file = getattr(own, "post_processor", None)
    flagged = (named.__name__ if named else "").removesuffix("Fast") in FLAGGED
    bos, eos = settings.get("add_bos_token"), settings.get("add_eos_token")
    if source.name in SENTENCEPIECE and tokenizer.cls_token:
        ends = _around(tokenizer, tokenizer.cls_token, tokenizer.sep_token)
        tokenizer.backend_tokenizer.post_processor = ends
    elif source.name in SENTENCEPIECE or (flagged and (file is None or (bos, eos) != (None, None))):
        first = tokenizer.bos_token if bos is not False else None
        last = tokenizer.eos_token if eos is True else None
        tokenizer.backend_tokenizer.post_processor = _around(tokenizer, first, last)
    elif file is not None:
        tokenizer.backend_tokenizer.post_processor = file


def _around(tokenizer: Any, first: str | None, last: str | None) -> Any:
    """Returns what puts tokens before and after a text."""
    from tokenizers import processors

    written = " ".join(filter(None, [first, "$A", last]))
    specials = [(token, tokenizer.convert_tokens_to_ids(token)) for token in (first, last) if token]
    return processors.TemplateProcessing(single=written, special_tokens=specials)
