"""What an engine may read, or make, of a conversation in place of what its model does, by name."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from rmeval.records import Conversation

BOS_DOUBLED, BOS_MISSING = "BOS doubled", "BOS missing"
SPECIALS_DOUBLED, SPECIALS_MISSING = "special tokens doubled", "special tokens missing"
END_APPENDED = "an end token appended"
LAST_MISSING = "the last token missing"
PROMPT_APPENDED = "a generation prompt appended"
TODAY = "the template writes today's date"
NORMALISED, MEAN_POOLED = "the state normalised", "mean pooling"
OTHER_RULE = "the scored token by the rule {}"
SIGMOID, SOFTMAX = "sigmoid of the reward", "softmax over one label: always 1"
END, BEGINNING = "end", "beginning"
# The lengths that servers are told to cut to.
CUTS = (64, 128, 256, 384, 512, 768, 1024, 1536, 2048)
ADVICE = {
    BOS_DOUBLED: "send token ids or messages, or text without its BOS (`add_special_tokens` false)",
    BOS_MISSING: "send token ids, or have the engine add special tokens",
    END_APPENDED: "send token ids: the engine's tokenizer appends what the template does not write",
    LAST_MISSING: "send token ids, or end the text as the model's template does",
    PROMPT_APPENDED: "send `add_generation_prompt` false, or token ids",
    TODAY: "send token ids: what `date=` fixes here changes every day there",
    SIGMOID: "ask for raw scores: `use_activation` false (vLLM), `raw_scores` true (TEI)",
    SOFTMAX: "ask for raw scores: SGLang's own /classify or /v1/embeddings",
    NORMALISED: "ask for raw states: `use_activation` false, or serve the reward head",
    MEAN_POOLED: "serve with the pooling of the last token (vLLM: --pooler-config)",
}
OF_CUT = "raise the engine's maximal length, or cut with `max_length=` and send token ids"
OF_TEMPLATE = "send token ids, or start the engine with the model's own chat template"


class Mistake(NamedTuple):
    """What goes wrong on the way to a reward: in the text, its length, the state, the number.

    `text` is a key of `Row.ids`; of what is longer than `kept` tokens the end or the beginning is
    `lost`. Where nothing goes wrong it is `RIGHT`.
    """

    text: str = ""
    kept: int = 0
    lost: str = ""
    state: str = ""
    number: str = ""

    def __str__(self) -> str:
        return " and ".join(self.parts()) or "nothing"

    def parts(self) -> list[str]:
        """Returns each thing that goes wrong, in words."""
        cut = f"cut to {self.kept} tokens, the {self.lost} lost" if self.kept else ""
        return [part for part in (self.text, cut, self.state, self.number) if part]

    def advice(self) -> str:
        """Returns what to do about the first of them that something can be done about."""
        told = [ADVICE[part] for part in self.parts() if part in ADVICE]
        return "; ".join([*told, OF_CUT] if self.kept else told)

    def reads(self, row: "Row") -> list[int]:
        """Returns the ids that are read of a row; those of the model where it changes none."""
        ids = row.ids.get(self.text, row.ids[RIGHT.text])
        if not self.kept or len(ids) <= self.kept:
            return ids
        return ids[: self.kept] if self.lost == END else ids[-self.kept :]


RIGHT = Mistake()


class Row(NamedTuple):
    """A conversation, its text as the model's template writes it, its ids under each mistake."""

    conversation: Conversation
    text: str
    ids: Mapping[str, list[int]]

    @property
    def length(self) -> int:
        """How many tokens the model reads."""
        return len(self.ids[RIGHT.text])


@dataclass(frozen=True)
class Expected:
    """The rewards of rows as a model gives them, and as it would give them under each mistake.

    `rewards[dtype][mistake]` has one for each row, computed in that dtype; `dtype` is the model's
    own. `model` says what it is, as a result's provenance does.
    """

    rows: tuple[Row, ...]
    dtype: str
    rewards: Mapping[str, Mapping[Mistake, list[float]]]
    model: Mapping[str, Any] = field(default_factory=dict)

    @property
    def right(self) -> list[float]:
        """The reward of each row."""
        return self.rewards[self.dtype][RIGHT]

    def tokens(self, mistake: Mistake) -> list[int]:
        """Returns how many tokens of each row are read."""
        return [len(mistake.reads(row)) for row in self.rows]

    def only(self, places: Sequence[int]) -> "Expected":
        """Returns what is known of some of the rows."""
        rewards = {
            dtype: {mistake: [values[at] for at in places] for mistake, values in found.items()}
            for dtype, found in self.rewards.items()
        }
        return replace(self, rows=tuple(self.rows[at] for at in places), rewards=rewards)


def cuts_of(rows: Sequence[Row], told: Iterable[int] = ()) -> list[Mistake]:
    """Returns every cut that changes a row, to usual lengths and to those that an engine told."""
    longest, lengths = max(row.length for row in rows), sorted({*CUTS, *told})
    return [
        Mistake(text, kept, lost)
        for text in (RIGHT.text, BOS_DOUBLED)
        for kept in lengths
        for lost in (END, BEGINNING)
        if kept < longest and any(text in row.ids for row in rows)
    ]
