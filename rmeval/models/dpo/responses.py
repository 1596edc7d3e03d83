"""Where in a conversation's tokens the response begins: the assistant's last message.

The whole conversation is rendered and tokenised once, as for any other model. The response is what
the chat template writes after the prompt with its generation prompt: the two texts are alike up to
there. A token that crosses that place belongs to the response.
"""

from collections.abc import Sequence
from pathlib import Path

from rmeval.engine.truncation import common_prefix
from rmeval.errors import BadCheckpoint, BadConversation
from rmeval.models.text.specials import Specials
from rmeval.models.text.tokenizer import render
from rmeval.records import Conversation, Message


class ResponseReader:
    """A tokenizer that tells the tokens of a response from those of its prompt."""

    def __init__(self, specials: Specials, folder: Path) -> None:
        """Raises BadCheckpoint for a tokenizer or a template that cannot tell them apart."""
        from tokenizers import Tokenizer

        tokenizer = specials.tokenizer

        if not tokenizer.is_fast:
            raise BadCheckpoint(
                f"{folder}: its tokenizer does not say where each token is in the text; add a "
                "tokenizer.json"
            )
        self._specials = specials
        self._template = tokenizer
        self._tokenizer = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
        # No special tokens are added, and some would leave white space out of a token's place.
        self._tokenizer.post_processor = None
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._require_sensible_template(folder)

    def read(self, conversations: Sequence[Conversation]) -> list[list[int]]:
        """Returns token ids, those of the response as their complement, `~id`.

        Raises BadConversation for one that the template refuses, that holds no prompt, or whose
        last message is not the assistant's.
        """
        prompts: dict[Conversation, str] = {}
        texts, starts = [], []
        for index, conversation in enumerate(conversations):
            text, start = self._split(conversation, index, prompts)
            texts.append(text)
            starts.append(start)
        encodings = self._tokenizer.encode_batch(texts, add_special_tokens=False)
        before, after = self._specials.around  # an end token is the response's
        rows = []
        for found, start in zip(encodings, starts, strict=True):
            ends = (place for place, (_, end) in enumerate(found.offsets) if end > start)
            first = next(ends, len(found.ids))
            rows.append([*before, *found.ids[:first], *marked([*found.ids[first:], *after])])
        return rows

    def _split(
        self, conversation: Conversation, index: int, prompts: dict[Conversation, str]
    ) -> tuple[str, int]:
        """Returns a conversation's text and where its response begins; `prompts` are kept."""
        *before, last = conversation
        if last.role != "assistant" or not before:
            roles = ", ".join(message.role for message in conversation)
            raise BadConversation(
                index, f"a DPO reward is of an assistant's answer to a prompt, not of ({roles})"
            )
        prompt = tuple(before)
        if prompt not in prompts:
            prompts[prompt] = render(self._template, prompt, index, add_generation_prompt=True)
        text = self._specials.bare(render(self._template, conversation, index))
        asked = self._specials.bare(prompts[prompt])
        start = len(asked) if text.startswith(asked) else common_prefix(text, asked)
        if not start:
            raise BadConversation(index, "the chat template writes no prompt before the response")
        return text, start

    def _require_sensible_template(self, folder: Path) -> None:
        """What stands after the prompt must follow the response, and the response alone."""
        talks = [
            (Message("user", asked), Message("assistant", said))
            for asked, said in (("x", "x"), ("7", "x"), ("x", "7"))
        ]
        split = [self._split(talk, 0, {}) for talk in talks]
        one, other_prompt, other_response = (text[start:] for text, start in split)
        if one != other_prompt or one == other_response:
            raise BadCheckpoint(
                f"{folder}: its chat template does not write the response after the prompt, so "
                "its tokens cannot be found; correct chat_template.jinja"
            )


def marked(ids: Sequence[int]) -> list[int]:
    """Returns token ids as those of a response: to be scored, see models/dpo.py."""
    return [~token for token in ids]


def plain(ids: Sequence[int]) -> list[int]:
    """Returns token ids as they are, whether marked as a response's or not."""
    return [~token if token < 0 else token for token in ids]
