"""Facts about checkpoints on the Hub, by name: what the weights themselves cannot tell.

A model does not need to be known to be evaluated: its family is found in its own files.
"""

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

DEMO = "demo"  # what the model that ships with rmeval is called


@dataclass(frozen=True, slots=True)
class Published:
    """A row that a model's authors published, in percent, with the weighting that it carries."""

    weighting: str
    overall: float
    sections: dict[str, float]


@dataclass(frozen=True, slots=True)
class KnownCheckpoint:
    """A checkpoint's family and, where its authors published one, its RewardBench v1 row."""

    name: str
    family: str
    parameters: str
    published: Published | None


@cache
def known_checkpoints() -> dict[str, KnownCheckpoint]:
    """Returns the shipped table, `rmeval/data/checkpoints.toml`, by Hub name."""
    text = (files("rmeval") / "data" / "checkpoints.toml").read_text(encoding="utf-8")
    return {
        name: KnownCheckpoint(
            name,
            facts["family"],
            facts["parameters"],
            Published(**facts["published"]) if "published" in facts else None,
        )
        for name, facts in tomllib.loads(text).items()
    }
