"""POLAR (arXiv 2507.05197): how like a reference answer is an answer? InternLM2-Reward's network.

The text is made as by the authors' client (InternLM/POLAR, src/polar/reward_func.py; XTuner's
xtuner/utils/rm_utils.py is the same but for the side on which long answers are cut), with their
InternLM2TokenizerFast. Where an answer is empty XTuner's training leaves out the line break before
it and the client keeps it; here it is kept.
"""

from collections.abc import Sequence
from typing import Any

from rmeval.engine.truncation import Encoded
from rmeval.errors import BadCheckpoint, BadConversation, BadOption
from rmeval.models.checkpoints.checkpoint import Checkpoint
from rmeval.models.checkpoints.other_kinds import is_polar
from rmeval.models.checkpoints.other_names import POLAR_IS
from rmeval.models.families.internlm2 import InternLM2
from rmeval.models.family import Family
from rmeval.models.reward_model import RewardModel
from rmeval.models.text.tokenizer_files import tokenizer_file
from rmeval.records import Conversation, Message, reference_of, with_reference

MARK = "<|reward|>"
LONGEST, LONGEST_ANSWER = 16_384, 4_096  # tokens of all, and of a reference or an answer
BESIDE = 4  # two line breaks, MARK and the last token
RECIPE = f"{{prompt}}\n{{reference}}{MARK}{{prompt}}\n{{answer}}, then reward_token_id"
Texts = tuple[str, str, str]  # prompt, reference, answer


class Polar(InternLM2):
    """POLAR 1.8B and 7B: InternLM2-Reward's layout, told by config.json's angles or by name."""

    name = "polar"
    max_length = LONGEST
    specials = "tokenizer"

    @staticmethod
    def claims(checkpoint: Checkpoint) -> bool:
        return is_polar(checkpoint)

    @classmethod
    def compatible(cls, checkpoint: Checkpoint) -> bool:
        return checkpoint.architecture == "InternLM2ForRewardModel"

    def tokenizer(self) -> Any:
        """Returns the tokenizer with the decoder of InternLM2TokenizerFast.

        Where there is no tokenizer.json, it takes a first blank off every text, whether the
        vocabulary puts one before a text or not.
        """
        from tokenizers import decoders

        tokenizer = super().tokenizer()
        if tokenizer_file(self.checkpoint.folder).name == "tokenizer.model":
            blanks = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
            undo = decoders.Sequence([*blanks, decoders.Strip(" ", 1, 0)])
            tokenizer.backend_tokenizer.decoder = undo
        return tokenizer

    def template(self, tokenizer: Any) -> str:
        return RECIPE


class PolarModel(RewardModel):
    """POLAR with its way of reading: the prompt with a reference, and again with the answer."""

    family: Polar

    def _read(self, conversations: Sequence[Conversation]) -> list[list[int]]:
        return [list(item.ids) for item in self._compose(conversations, None)]

    def _encode(self, conversations: Sequence[Conversation]) -> list[Encoded]:
        return self._compose(conversations, self.max_length)

    def _probe_ids(self) -> Sequence[int]:
        talk = (Message("user", "x"), Message("assistant", "x"))
        return self.encode(with_reference(talk, "x"))

    def _compose(self, conversations: Sequence[Conversation], longest: int | None) -> list[Encoded]:
        """Returns ids of at most about `longest` tokens, or whole ones; they are read twice.

        What is cut is cut in tokens, the BOS among them, and made text again without special
        tokens; so a text that holds some loses them.
        """
        if not conversations:
            return []
        given = self._with_system(conversations)
        texts = [text for i, talk in enumerate(given) for text in texts_of(talk, i)]
        parts = self.specials.encode(texts)
        whole = list(zip(parts[::3], parts[1::3], parts[2::3], strict=True))
        kept = whole if longest is None else [_cut(ids, longest) for ids in whole]
        joined = [self._join([self._text(ids) for ids in three]) for three in kept]
        end = self.family.end_token()
        rows = self.specials.encode(joined)
        return [
            Encoded((*row, end), few != all_of_it)
            for row, few, all_of_it in zip(rows, kept, whole, strict=True)
        ]

    def _text(self, ids: Sequence[int]) -> str:
        text: str = self.tokenizer.decode(list(ids), skip_special_tokens=True)
        return text

    def _join(self, texts: Sequence[str]) -> str:
        prompt, reference, answer = texts
        return f"{prompt}\n{reference}{MARK}{prompt}\n{answer}"


def require_references(family: Family, without: str | None) -> None:
    """Raises BadCheckpoint where POLAR is to score rows of which one is known to have none."""
    if isinstance(family, Polar) and without is not None:
        raise BadCheckpoint(f"{family.checkpoint.name}: POLAR {POLAR_IS}; {without} has none")


def texts_of(conversation: Conversation, index: int) -> Texts:
    """Returns the contents of prompt, reference and answer, each joined by line breaks.

    Raises BadConversation for one without a reference or an answer, or that holds more than texts.
    """
    *prompt, answer = conversation
    reference = reference_of(conversation)
    if not reference:
        raise BadConversation(
            index, f'POLAR {POLAR_IS}; give a text or messages as "reference", not an empty one'
        )
    if answer.role != "assistant" or not prompt:
        roles = ", ".join(message.role for message in conversation)
        raise BadConversation(
            index, f"POLAR compares an assistant's answer to a prompt with another, not ({roles})"
        )
    if conversation[0].tools or any(message.extra for message in conversation):
        raise BadConversation(
            index, "has tools, or messages with more than role and content; POLAR reads texts only"
        )
    return "\n".join(message.content for message in prompt), reference, answer.content


def _cut(
    ids: tuple[list[int], list[int], list[int]], longest: int
) -> tuple[list[int], list[int], list[int]]:
    """Cuts reference and answer at their ends, and what stands twice, the prompt, at its start."""
    prompt, reference, answer = ids[0], ids[1][:LONGEST_ANSWER], ids[2][:LONGEST_ANSWER]
    room = (longest - BESIDE - len(reference) - len(answer)) // 2
    if room < 1:
        least = len(reference) + len(answer) + BESIDE + 2
        raise BadOption(
            f"`max_length={longest}` leaves no room for a prompt beside reference and answer; pass "
            f"at least {least}"
        )
    return prompt[-room:], reference, answer
