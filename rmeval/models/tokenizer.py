"""Tokenizers, without remote code, and the one way in which a conversation becomes ids.

A conversation is rendered by the chat template and tokenised once, without special tokens: the
template writes its own BOS, and a second one would change the score.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rmeval.errors import BadCheckpoint, BadConversation, first_line
from rmeval.known import shipped_templates
from rmeval.models.checkpoint import Checkpoint, read_object
from rmeval.types import Conversation, tools_of

TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer.model",
    "spiece.model",
    "sentencepiece.bpe.model",
    "vocab.json",
    "vocab.txt",
)
PROBE = "  Two  spaces,\n\tname_1 = 0x2F; café 你好 🎉"  # on which sentencepiece's kinds differ
SPECIAL_NAMES = ("bos_token", "eos_token", "unk_token", "pad_token")


def load_tokenizer(checkpoint: Checkpoint) -> Any:
    """Returns transformers' tokenizer for a checkpoint. Raises BadCheckpoint."""
    from transformers import AutoTokenizer

    _require_files(checkpoint.folder)
    try:
        return AutoTokenizer.from_pretrained(checkpoint.folder, trust_remote_code=False)
    except (ValueError, OSError, ImportError, KeyError) as error:
        raise BadCheckpoint(
            f"{checkpoint.folder}: transformers cannot load its tokenizer ({first_line(error)})"
        ) from error


def load_sentencepiece_bpe(folder: Path) -> Any:
    """Builds a fast tokenizer from `tokenizer.model`: BPE, byte fallback, no dummy prefix.

    This is InternLM2's tokenizer, whose class is remote code. Special tokens take the ids that
    tokenizer_config.json gives them, in place of the unused pieces that stand there.
    """
    from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers
    from transformers import PreTrainedTokenizerFast

    settings = read_object(folder / "tokenizer_config.json")
    specials = {
        int(index): str(token["content"])
        for index, token in settings.get("added_tokens_decoder", {}).items()
    }
    processor = _read_sentencepiece(folder / "tokenizer.model")
    pieces = [processor.id_to_piece(index) for index in range(processor.get_piece_size())]
    vocabulary = {specials.get(index, piece): index for index, piece in enumerate(pieces)}
    vocabulary |= {content: index for index, content in specials.items()}
    unknown = pieces[processor.unk_id()]
    tokenizer = Tokenizer(
        models.BPE(
            vocabulary, _merges(vocabulary), unk_token=unknown, fuse_unk=True, byte_fallback=True
        )
    )
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    tokenizer.add_special_tokens(
        [AddedToken(specials[index], normalized=False) for index in sorted(specials)]
    )
    if tokenizer.encode(PROBE, add_special_tokens=False).ids != processor.encode(PROBE):
        kind = "BPE with byte fallback, text taken as it is"
        raise BadCheckpoint(f"{folder / 'tokenizer.model'}: not of InternLM2's kind ({kind})")
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        chat_template=settings.get("chat_template"),
        **{name: settings[name] for name in SPECIAL_NAMES if isinstance(settings.get(name), str)},
    )


def _read_sentencepiece(path: Path) -> Any:
    from sentencepiece import SentencePieceProcessor, set_min_log_level

    set_min_log_level(2)  # InternLM2's model makes it warn about a piece that is a NUL
    try:
        return SentencePieceProcessor(model_file=str(path))
    except (RuntimeError, OSError) as error:
        raise BadCheckpoint(f"{path}: no sentencepiece model ({first_line(error)})") from error


def encode_conversations(
    tokenizer: Any, conversations: Sequence[Conversation], end_token: int | None
) -> list[list[int]]:
    """Renders and tokenises conversations; `end_token` is appended where it is not last.

    All texts go through one call of the tokenizer, which uses every core. Raises BadConversation
    for one that the chat template refuses.
    """
    if not conversations:
        return []
    texts = [render(tokenizer, conversation, i) for i, conversation in enumerate(conversations)]
    ids: list[list[int]] = tokenizer(
        texts, add_special_tokens=False, return_attention_mask=False, verbose=False
    )["input_ids"]
    if end_token is not None:
        ids = [[*row, end_token] if row[-1:] != [end_token] else row for row in ids]
    return ids


def render(
    tokenizer: Any,
    conversation: Conversation,
    index: int,
    *,
    template: str | None = None,
    add_generation_prompt: bool = False,
) -> str:
    """Returns the text of a conversation as the tokenizer's, or another, template writes it.

    Raises BadConversation, naming its `index`, for one that the template refuses.
    """
    from jinja2 import TemplateError

    messages = [message.fields() for message in conversation]
    try:
        text: str = tokenizer.apply_chat_template(
            messages,
            tools=tools_of(conversation),
            chat_template=template,
            tokenize=False,
            add_generation_prompt=add_generation_prompt,
        )
    except TemplateError as error:
        roles = ", ".join(message.role for message in conversation)
        reason = f"the chat template refuses the roles ({roles}): {error}"
        raise BadConversation(index, reason) from error
    return text


def require_chat_template(tokenizer: Any, folder: Path) -> str:
    """Returns the tokenizer's chat template. Raises BadCheckpoint where it has none."""
    template = tokenizer.chat_template
    if isinstance(template, dict):
        template = template.get("default")
    if not isinstance(template, str):
        raise BadCheckpoint(
            f"{folder}: its tokenizer has no chat template, so conversations cannot be rendered; "
            "put the one it was trained with into chat_template.jinja, or pass --chat-template "
            f"FILE or one of rmeval's ({', '.join(shipped_templates())})"
        )
    return template


def _merges(vocabulary: dict[str, int]) -> list[tuple[str, str]]:
    """Returns every way to build a piece from two, in the order in which BPE merges them."""
    merges = []
    for piece in vocabulary:
        halves = [(piece[:cut], piece[cut:]) for cut in range(1, len(piece))]
        known = [pair for pair in halves if pair[0] in vocabulary and pair[1] in vocabulary]
        merges += sorted(known, key=lambda pair: (vocabulary[pair[0]], vocabulary[pair[1]]))
    return merges


def has_tokenizer(folder: Path) -> bool:
    """Whether a checkpoint's folder has the files of a tokenizer."""
    return any((folder / file).exists() for file in TOKENIZER_FILES)


def _require_files(folder: Path) -> None:
    if not has_tokenizer(folder):
        raise BadCheckpoint(
            f"{folder}: no tokenizer ({', '.join(TOKENIZER_FILES[:2])}, …); "
            "without one only token ids can be scored (score_tokens)"
        )
