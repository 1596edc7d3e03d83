"""A `tokenizer.model` as a fast tokenizer: what sentencepiece itself makes of a text.

transformers 5 rebuilds such a tokenizer from its pieces and gets merges wrong, so that two spaces
in a row, and with them most code, become other ids. Here every setting comes from the file.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rmeval.errors import BadCheckpoint, first_line
from rmeval.models.checkpoints.json_files import read_object

UNIGRAM, BPE = 1, 2  # trainer_spec.model_type
NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED = 1, 2, 3, 4, 5  # the type of a piece
MARK = "▁"  # stands for a space, and before the first word


def read_sentencepiece(path: Path, settings: Mapping[str, Any]) -> Any:
    """Returns the `tokenizers.Tokenizer` of a sentencepiece model.

    `settings` are tokenizer_config.json's. `added_tokens_decoder` names special tokens by id, some
    in place of unused pieces. Without `legacy`, or where it is true, the first word after every
    special token has the mark of a first word; where it is false, that of the text alone.
    Raises BadCheckpoint for what is no such file.
    """
    from tokenizers import AddedToken, Tokenizer

    spec = _read_spec(path)
    pieces = [(piece.piece, piece.score, piece.type) for piece in spec.pieces]
    specials = {i: text for i, (text, _, kind) in enumerate(pieces) if kind in (UNKNOWN, CONTROL)}
    specials |= added_tokens(path.parent, settings)
    for index, text in specials.items():
        if index < len(pieces):
            pieces[index] = (text, 0.0, CONTROL)
    tokenizer = Tokenizer(_model(path, spec, pieces))
    _normalise(tokenizer, spec, settings)
    _keep_whole(tokenizer, [text for text, _, kind in pieces if kind == USER_DEFINED])
    tokenizer.add_special_tokens(
        [AddedToken(specials[index], normalized=False) for index in sorted(specials)]
    )
    for index, text in specials.items():
        if tokenizer.token_to_id(text) != index:
            found = tokenizer.token_to_id(text)
            raise BadCheckpoint(
                f"{path}: added token {text!r} has id {index}, and would get {found}"
            )
    return tokenizer


def added_tokens(folder: Path, settings: Mapping[str, Any]) -> dict[int, str]:
    """Returns the tokens that the files beside a vocabulary add to it, by id."""
    decoder = settings.get("added_tokens_decoder")
    if isinstance(decoder, dict):
        return {int(index): str(token["content"]) for index, token in decoder.items()}
    older = folder / "added_tokens.json"
    return {index: text for text, index in read_object(older).items()} if older.exists() else {}


def _read_spec(path: Path) -> Any:
    from google.protobuf.message import DecodeError
    from sentencepiece import sentencepiece_model_pb2

    spec = sentencepiece_model_pb2.ModelProto()
    try:
        spec.ParseFromString(path.read_bytes())
    except (DecodeError, OSError) as error:
        raise BadCheckpoint(f"{path}: not a sentencepiece model ({first_line(error)})") from error
    if spec.trainer_spec.model_type not in (UNIGRAM, BPE) or not spec.pieces:
        raise BadCheckpoint(f"{path}: not a sentencepiece model of kind unigram or bpe")
    return spec


def _model(path: Path, spec: Any, pieces: list[tuple[str, float, int]]) -> Any:
    from tokenizers import models

    trained = spec.trainer_spec
    if trained.treat_whitespace_as_suffix:
        raise BadCheckpoint(f"{path}: marks words at their end, which rmeval cannot read")
    if trained.model_type == UNIGRAM:
        vocabulary = [(text, score) for text, score, _ in pieces]
        return models.Unigram(vocabulary, trained.unk_id, trained.byte_fallback)
    return models.BPE(
        {text: index for index, (text, _, _) in enumerate(pieces)},
        _merges(pieces),
        unk_token=pieces[trained.unk_id][0],
        fuse_unk=True,
        byte_fallback=trained.byte_fallback,
        ignore_merges=any(len(text) > 1 for text, _, kind in pieces if kind == USER_DEFINED),
    )


def _merges(pieces: list[tuple[str, float, int]]) -> list[tuple[str, str]]:
    """Returns every way to build a piece from two, in the order in which sentencepiece merges."""
    mergeable = (NORMAL, USER_DEFINED, UNUSED)
    score = {text: value for text, value, kind in pieces if kind in mergeable}
    merges = []
    for text in sorted(score, key=lambda text: -score[text]):  # stable: equal scores by id
        for cut in range(1, len(text)):
            if text[:cut] in score and text[cut:] in score:
                merges.append((text[:cut], text[cut:]))
    return merges


def _normalise(tokenizer: Any, spec: Any, settings: Mapping[str, Any]) -> None:
    """Gives a tokenizer the normaliser of the file, and the decoder that undoes it."""
    from tokenizers import Regex, decoders, normalizers, pre_tokenizers

    rules = spec.normalizer_spec
    steps: list[Any] = []
    if rules.precompiled_charsmap:
        if rules.name.startswith("nmt_"):  # `tokenizers` looks the two up as one letter
            steps.append(normalizers.Replace("\r\n", "\n\n"))
        steps.append(normalizers.Precompiled(rules.precompiled_charsmap))
    if rules.remove_extra_whitespaces:
        steps.append(normalizers.Replace(Regex(f"\\A +|[ {MARK}]+\\z"), ""))
        steps.append(normalizers.Replace(Regex(" {2,}"), " "))
    marked = rules.add_dummy_prefix and settings.get("add_prefix_space") is not False
    once = marked and settings.get("legacy") is False
    if marked and not once:
        steps.append(normalizers.Prepend(MARK))
    if once:
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    elif rules.escape_whitespaces:
        steps.append(normalizers.Replace(" ", MARK))
    if steps:
        tokenizer.normalizer = normalizers.Sequence(steps)
    undo = [decoders.Replace(MARK, " "), decoders.ByteFallback(), decoders.Fuse()]
    tokenizer.decoder = decoders.Sequence([*undo, *([decoders.Strip(" ", 1, 0)] if marked else [])])


def _keep_whole(tokenizer: Any, symbols: list[str]) -> None:
    """Takes symbols of the trainer's choice as they are; the longest that fits comes first.

    And what only looks like the token of a byte, `<0x0A>` in a text, is no such token.
    """
    from tokenizers import Regex, models, pre_tokenizers

    steps: list[Any] = [tokenizer.pre_tokenizer] if tokenizer.pre_tokenizer else []
    if symbols:
        longest_first = sorted(symbols, key=len, reverse=True)
        pattern = Regex("|".join(map(re.escape, longest_first)))
        steps.append(pre_tokenizers.Split(pattern, "isolated"))
    if isinstance(tokenizer.model, models.Unigram):  # a BPE gets there by merges, and has none
        byte = Regex("<(?=0x[0-9A-F]{2}>)")
        steps.append(pre_tokenizers.Split(byte, "merged_with_previous"))
    if steps:
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence(steps)
