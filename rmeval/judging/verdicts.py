"""What an answer's text says, read strictly: one verdict, or none.

A verdict is a number for each response that was shown, in the order shown: of two the probability
that it is the better one, of several its share in being the best, of a rating the rating.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp, isfinite

from rmeval.duels import EVEN
from rmeval.errors import BadOption
from rmeval.judging.fields import fill, position
from rmeval.judging.places import Place
from rmeval.judging.thinking import said
from rmeval.llm.endpoint import Answer

Verdict = tuple[float, ...]
UNSEEN = 0.01  # of the labels' probability; a reading that may lack more of it is none


class Reader(ABC):
    """How the answers to a prompt format are read."""

    thinks: bool | str
    """Every answer begins within the judge's thinking, and without a mark (or: which ends it)."""
    before: str = ""
    """What an answer begins with before the tokens whose probability is asked for."""
    after: str = ""
    """A pattern in place of `before`, for an answer that is written first: only a server's."""

    def read(self, answer: Answer, shown: int = 2) -> Verdict | None:
        """Returns the only verdict in an answer about so many responses; None with none or two."""
        found = {self._find(text, shown) for text in said(answer, self.thinks)}
        return found.pop() if len(found) == 1 else None

    @property
    def scale(self) -> tuple[float, float] | None:
        """The least and the greatest rating, or None where responses are compared."""
        return None

    def labels(self, shown: int) -> list[str] | None:
        """Returns the tokens whose probability is asked for, or None where the text is read.

        Raises BadOption for a number of responses of which it cannot speak.
        """
        return None

    @abstractmethod
    def _find(self, text: str, shown: int) -> Verdict | None:
        """Returns the only verdict in what is said after the thinking, or None."""


@dataclass(frozen=True, slots=True)
class Labels(Reader):
    """The texts that say which of two responses is better; `tie` is None where none may be."""

    a: str
    b: str
    tie: str | None = None
    thinks: bool | str = False

    def _find(self, text: str, shown: int) -> Verdict | None:
        wins = {self.a: 1.0, self.b: 0.0, **({} if self.tie is None else {self.tie: EVEN})}
        found = [label for label in wins if label in text]
        return _of_two(wins[found[0]]) if len(found) == 1 else None


@dataclass(frozen=True, slots=True)
class Best(Reader):
    """The text that names the best of several, `{letter}` or `{number}` in the place of which.

    With `several`, those that are named share being the best; without, more than one is none.
    """

    label: str
    several: bool = False
    thinks: bool | str = False

    def labels(self, shown: int) -> None:
        """Returns None: the text is read. Raises BadOption where two labels collide."""
        self._labels(shown)

    def _labels(self, shown: int) -> list[str]:
        """Returns the labels of so many responses, in order. Raises BadOption where two collide."""
        found = [fill(self.label, position(place)) for place in range(shown)]
        for label in found:
            if any(label in other for other in found if other != label):
                raise BadOption(
                    f"of {shown} responses the label {label!r} is part of another: close it, as "
                    "in [[{number}]]"
                )
        return found

    def _find(self, text: str, shown: int) -> Verdict | None:
        named = [label in text for label in self._labels(shown)]
        return _shares(named) if sum(named) == 1 or (self.several and any(named)) else None


@dataclass(frozen=True, slots=True)
class Mapped(Reader):
    """What is captured, and what it means: P(the first of two is better), or a rating."""

    place: Place
    meaning: Mapping[str, float]
    pairwise: bool
    thinks: bool | str = False

    @property
    def scale(self) -> tuple[float, float] | None:
        """The least and the greatest number that an entry means, or None."""
        return None if self.pairwise else _ends(self.meaning)

    def _find(self, text: str, shown: int) -> Verdict | None:
        found = self.place.captured(text)
        value = self.meaning.get(found.pop()) if len(found) == 1 else None
        if value is None:
            return None
        return _of_two(value) if self.pairwise else (value,)


@dataclass(frozen=True, slots=True)
class Named(Reader):
    """What is captured is the letter or the number of the best of several."""

    place: Place
    thinks: bool | str = False

    def _find(self, text: str, shown: int) -> Verdict | None:
        found = self.place.captured(text)
        if len(found) != 1:
            return None
        name = found.pop()
        named = [name in position(place).values() for place in range(shown)]
        return _shares(named) if any(named) else None


@dataclass(frozen=True, slots=True)
class Scale(Reader):
    """What is captured are numbers from `low` to `high`, one for each response, with commas.

    Of two that are compared the higher one is better (`pairwise`); otherwise they are ratings.
    """

    place: Place
    low: float
    high: float
    pairwise: bool = False
    thinks: bool | str = False

    @property
    def scale(self) -> tuple[float, float] | None:
        """`low` and `high`, or None where two are compared by them."""
        return None if self.pairwise else (self.low, self.high)

    def _find(self, text: str, shown: int) -> Verdict | None:
        found = {self._numbers(captured) for captured in self.place.captured(text)}
        numbers = found.pop() if len(found) == 1 else None
        if numbers is None or len(numbers) != shown:
            return None
        if not self.pairwise:
            return numbers
        return _of_two(EVEN if numbers[0] == numbers[1] else float(numbers[0] > numbers[1]))

    def _numbers(self, captured: str) -> Verdict | None:
        try:
            numbers = tuple(float(number) for number in captured.split(","))
        except ValueError:
            return None
        inside = all(isfinite(n) and self.low <= n <= self.high for n in numbers)
        return numbers if inside else None


@dataclass(frozen=True, slots=True)
class Likely(Reader):
    """The expected value over the tokens that an answer may have in one place.

    That is after `before`, or after the only place where the pattern `after` matches.

    `values` say what each token means: P(the first of two is better), or a rating. None: each is
    the letter of one of several responses, whose share is its probability. Probabilities are of
    these tokens among themselves. A server says only the likeliest tokens: where those that it left
    out may have more than UNSEEN of the whole, there is no verdict.
    """

    values: Mapping[str, float] | None
    pairwise: bool = False
    before: str = ""
    after: str = ""
    thinks: bool | str = False

    @property
    def scale(self) -> tuple[float, float] | None:
        """The least and the greatest number that a token means, or None."""
        return None if self.pairwise or self.values is None else _ends(self.values)

    def labels(self, shown: int) -> list[str]:
        """Returns the tokens that mean something."""
        if self.values is not None:
            return list(self.values)
        return [position(place)["letter"] for place in range(shown)]

    def read(self, answer: Answer, shown: int = 2) -> Verdict | None:
        """Returns the expected value, or None where the tokens have no place or are cut."""
        if answer.labels is None:
            return None
        labels = self.labels(shown)
        chances = [exp(answer.labels[la]) if la in answer.labels else 0.0 for la in labels]
        seen, unseen = sum(chances), exp(answer.unseen) if answer.unseen is not None else 0.0
        if not seen or unseen > UNSEEN * (seen + unseen):
            return None
        if self.values is None:
            return tuple(chance / seen for chance in chances)
        weighed = zip(chances, self.values.values(), strict=True)
        value = sum(chance * worth for chance, worth in weighed) / seen
        return _of_two(value) if self.pairwise else (value,)

    def _find(self, text: str, shown: int) -> None:
        """Nothing: the text is not read."""


def _ends(values: Mapping[str, float]) -> tuple[float, float]:
    return min(values.values()), max(values.values())


def _of_two(first: float) -> Verdict:
    return first, 1 - first


def _shares(named: Sequence[bool]) -> Verdict:
    return tuple(won / sum(named) for won in named)
