"""What metrics are called: the one place that knows how such a name is made and read."""

from typing import Literal, Self

Kind = Literal["overall", "section", "subset"]
KINDS: tuple[Kind, ...] = ("overall", "section", "subset")


class Metric(str):
    """The name of a metric: of the Score, a section, a subset, or of a part of one of these.

    It is the text that results have: "overall", "section/Chat", "subset/hep-go", and with a part
    "overall/hard", "section/chat/hard", "subset/chat/hard". A subset may have a "/" in its own
    name, a section may not: there the rest is the part.
    """

    __slots__ = ()

    @classmethod
    def overall(cls, part: str = "") -> Self:
        """Returns the name of the Score, or of a part of it."""
        return cls("/".join(filter(None, ("overall", part))))

    @classmethod
    def section(cls, name: str, part: str = "") -> Self:
        """Returns the name of a section, or of a part of it."""
        return cls("/".join(filter(None, ("section", name, part))))

    @classmethod
    def subset(cls, name: str, part: str = "") -> Self:
        """Returns the name of a subset, or of one of the numbers that its rows make."""
        return cls("/".join(filter(None, ("subset", name, part))))

    @property
    def kind(self) -> Kind:
        """What it is of. Raises ValueError for a text that is no name of a metric."""
        found = self.partition("/")[0]
        if found not in KINDS or (found != "overall" and not self.rest):
            raise ValueError(
                f"{str(self)!r} is no metric; they are overall, section/… and subset/…"
            )
        return found

    @property
    def rest(self) -> str:
        """All that follows the kind: "chat/hard" of "section/chat/hard", "" of "overall"."""
        return self.partition("/")[2]

    @property
    def part(self) -> str:
        """Which part of the Score or of a section it is, or "" for all of it; "" of a subset."""
        if self.kind == "section":
            return self.rest.partition("/")[2]
        return self.rest if self.kind == "overall" else ""

    @property
    def whole(self) -> "Metric":
        """The Score or the section that it is a part of; itself where it is no part."""
        if self.kind == "section":
            return Metric.section(self.rest.partition("/")[0])
        return Metric.overall() if self.kind == "overall" else self

    def with_part(self, part: str) -> "Metric":
        """Returns the name of a part of it."""
        return Metric(f"{self}/{part}")

    @property
    def level(self) -> tuple[Kind, bool]:
        """What metrics are tested together: those of one kind, parts by themselves."""
        return self.kind, bool(self.part)

    @property
    def column(self) -> str:
        """What it is called at the head of a column: the Score, or the name alone."""
        return f"Score {self.rest}".rstrip() if self.kind == "overall" else self.rest


OVERALL = Metric.overall()
