"""What `import rmeval` gives."""

import subprocess
import sys

import pytest

import rmeval
from rmeval.known import known_checkpoints
from rmeval.metrics.rewardbench import SECTIONS, WEIGHTINGS
from rmeval.models import FAMILIES


@pytest.mark.parametrize("name", rmeval.__all__)
def test_every_public_name_is_there_and_says_what_it_is(name: str) -> None:
    assert getattr(rmeval, name).__doc__


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'load_modle'"):
        _ = rmeval.load_modle


def test_importing_rmeval_loads_no_torch() -> None:
    code = "import sys, rmeval; sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_every_error_of_ours_can_be_caught_as_one() -> None:
    from rmeval import errors

    ours = [
        value
        for value in vars(errors).values()
        if getattr(value, "__module__", "") == errors.__name__
    ]
    kinds = [value for value in ours if isinstance(value, type)]
    assert len(kinds) >= 7
    assert all(issubclass(kind, rmeval.RmevalError) for kind in kinds)


@pytest.mark.parametrize("known", known_checkpoints().values(), ids=lambda known: known.name)
def test_a_known_checkpoint_has_a_family_that_exists(known) -> None:
    assert known.family in [entry.name for entry in FAMILIES]


@pytest.mark.parametrize(
    "known",
    [known for known in known_checkpoints().values() if known.published],
    ids=lambda known: known.name,
)
def test_a_published_score_is_the_mean_of_its_sections(known) -> None:
    assert list(known.published.sections) == list(SECTIONS)
    mean = sum(known.published.sections.values()) / 4
    assert abs(mean - known.published.overall) <= 0.1  # each figure is rounded to 0.1
    assert known.published.weighting in WEIGHTINGS


def test_the_card_of_internlm2_7b_is_in_the_table() -> None:
    published = known_checkpoints()["internlm/internlm2-7b-reward"].published
    assert published is not None
    assert published.overall == 86.6
    assert published.sections == {
        "Chat": 98.6,
        "Chat Hard": 66.7,
        "Safety": 88.3,
        "Reasoning": 92.8,
    }
    assert published.weighting == "rewardbench-v1-2024-07"
