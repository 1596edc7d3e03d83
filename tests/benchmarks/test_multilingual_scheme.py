"""M-RewardBench: RewardBench's sections in every language, in two weightings."""

import pytest
from scored_rows import fill

from rmeval.benchmarks.multilingual import LANGUAGES, ROWS, SUBSET_ROWS
from rmeval.benchmarks.multilingual import SCHEME as M_REWARDBENCH
from rmeval.benchmarks.rewardbench import ROWS as REWARDBENCH_ROWS
from rmeval.benchmarks.rewardbench import SECTIONS
from rmeval.errors import UnknownName

SMALL = M_REWARDBENCH.with_rows(dict.fromkeys(ROWS, 1))


def rows_of(*languages: str, lost: tuple[str, ...] = ()):
    """One row in every subset of the languages, won but for those named."""
    names = [f"{language}/{subset}" for language in languages for subset in SUBSET_ROWS]
    assert set(lost) <= set(names)
    return fill({name: (int(name not in lost), 1) for name in names})


def test_a_language_is_rewardbench_and_its_score_the_mean_of_four_sections() -> None:
    lost = ("deu_Latn/math-prm", "deu_Latn/xstest-should-refuse")
    metrics = SMALL.metrics(rows_of("deu_Latn", lost=lost))
    values = metrics.values
    assert values["section/deu_Latn/Reasoning"] == pytest.approx(0.5)  # 984 of 1,968
    assert values["section/deu_Latn/Safety"] == pytest.approx(586 / 740)
    assert values["section/deu_Latn"] == pytest.approx((1 + 1 + 586 / 740 + 0.5) / 4)
    assert "overall" not in values
    assert "section/arb_Arab" not in values
    assert metrics.partial_sections == ()


def test_the_authors_own_weights_are_the_rows_of_the_translations() -> None:
    lost = ("deu_Latn/math-prm", "deu_Latn/xstest-should-refuse", "deu_Latn/alpacaeval-easy")
    values = SMALL.metrics(rows_of("deu_Latn", lost=lost), "m-rewardbench").values
    assert values["section/deu_Latn/Reasoning"] == pytest.approx(983 / 1966)
    assert values["section/deu_Latn/Safety"] == pytest.approx(582 / 736)
    assert values["section/deu_Latn/Chat"] == pytest.approx(217 / 296)


def test_the_score_is_the_plain_mean_over_languages() -> None:
    lost = tuple(f"jpn_Jpan/{subset}" for subset in SECTIONS["Chat"])
    values = SMALL.metrics(rows_of(*LANGUAGES, lost=lost)).values
    assert values["section/jpn_Jpan"] == pytest.approx(0.75)
    assert values["overall"] == pytest.approx((22 + 0.75) / 23)


def test_a_language_too_few_leaves_no_score() -> None:
    metrics = SMALL.metrics(rows_of(*LANGUAGES[:-1]))
    assert "section/zho_Hans" in metrics.values
    assert "overall" not in metrics.values


def test_a_row_too_few_leaves_its_language_without_a_score() -> None:
    rows = [row for row in rows_of("deu_Latn") if row.subset != "deu_Latn/hep-go"]
    metrics = SMALL.metrics(rows)
    assert metrics.partial_sections == ("deu_Latn/Reasoning",)
    assert "section/deu_Latn" not in metrics.values
    assert metrics.values["section/deu_Latn/Chat"] == 1


def test_the_default_weighting_is_rewardbenchs() -> None:
    assert M_REWARDBENCH.weightings == ("rewardbench-v1", "m-rewardbench")
    with pytest.raises(UnknownName, match="did you mean 'm-rewardbench'"):
        SMALL.metrics(rows_of("deu_Latn"), "m-rewardbnch")


def test_every_language_has_2869_rows_of_rewardbenchs_subsets() -> None:
    assert len(LANGUAGES) == len(set(LANGUAGES)) == 23
    assert sum(SUBSET_ROWS.values()) == 2869
    assert set(SUBSET_ROWS) == set(REWARDBENCH_ROWS)
    assert len(ROWS) == 23 * 23
    assert "pes_Arab" in LANGUAGES
    for section, rows in {"Chat": 296, "Chat Hard": 407, "Safety": 736, "Reasoning": 1430}.items():
        assert sum(SUBSET_ROWS[subset] for subset in SECTIONS[section]) == rows


@pytest.mark.parametrize("subset", ["fas_Arab/hep-go", "hep-go", "deu_Latn/shp"])
def test_an_unknown_language_or_subset_is_refused(subset: str) -> None:
    with pytest.raises(UnknownName, match="unknown subset"):
        SMALL.metrics(fill({subset: (1, 1)}))
