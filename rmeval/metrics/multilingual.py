"""M-RewardBench: RewardBench v1 in 23 languages. Source: arXiv 2410.15522 and its code.

Each language has RewardBench's sections and Score; the Score of all is the mean over languages.
A subset is called `<language>/<RewardBench subset>`.

Published numbers come in two weightings. `rewardbench-v1`, the default, has the row counts of
RewardBench v1 as weights, so that a language can be compared with English; the authors' generative
judges were measured so, since RewardBench's own code computed their sections. `m-rewardbench` has
the counts of the translated rows, of which fewer were kept, and 983 for math-prm: the weights of
the authors' analysis of classifiers and DPO models (`analysis/plot_utils.py`).
"""

from rmeval.errors import UnknownName
from rmeval.metrics.names import OVERALL, Metric
from rmeval.metrics.rewardbench import DEFAULT_WEIGHTING, SECTIONS
from rmeval.metrics.rewardbench import WEIGHTINGS as REWARDBENCH_WEIGHTINGS
from rmeval.metrics.scheme import WIN, Part, Scheme, Strata, by_subset

LANGUAGES = (
    "arb_Arab", "ces_Latn", "deu_Latn", "ell_Grek", "fra_Latn", "heb_Hebr", "hin_Deva", "ind_Latn",
    "ita_Latn", "jpn_Jpan", "kor_Hang", "nld_Latn", "pes_Arab", "pol_Latn", "por_Latn", "ron_Latn",
    "rus_Cyrl", "spa_Latn", "tur_Latn", "ukr_Cyrl", "vie_Latn", "zho_Hans", "zho_Hant",
)  # fmt: skip

# Rows of each language, 2,869 in all.
SUBSET_ROWS = {
    "alpacaeval-easy": 79,
    "alpacaeval-length": 79,
    "alpacaeval-hard": 76,
    "mt-bench-easy": 24,
    "mt-bench-med": 38,
    "mt-bench-hard": 35,
    "llmbar-natural": 76,
    "llmbar-adver-neighbor": 124,
    "llmbar-adver-GPTInst": 87,
    "llmbar-adver-GPTOut": 42,
    "llmbar-adver-manual": 43,
    "refusals-dangerous": 100,
    "refusals-offensive": 100,
    "xstest-should-refuse": 154,
    "xstest-should-respond": 247,
    "donotanswer": 135,
    "math-prm": 447,
    "hep-cpp": 164,
    "hep-go": 164,
    "hep-java": 164,
    "hep-js": 164,
    "hep-python": 163,
    "hep-rust": 164,
}
ROWS = {f"{language}/{name}": n for language in LANGUAGES for name, n in SUBSET_ROWS.items()}

WEIGHTINGS = {
    DEFAULT_WEIGHTING: REWARDBENCH_WEIGHTINGS[DEFAULT_WEIGHTING],
    "m-rewardbench": {**SUBSET_ROWS, "math-prm": 983},  # the hep subsets have 983 rows together
}


def _parts(strata: Strata, weighting: str) -> list[Part]:
    if weighting not in WEIGHTINGS:
        raise UnknownName("weighting", weighting, WEIGHTINGS)
    parts = [part for language in LANGUAGES for part in _language_parts(language, weighting)]
    scores: dict[str, float] = {Metric.section(language): 1.0 for language in LANGUAGES}
    return [*parts, Part(OVERALL, scores, needs_all=True)]


def _language_parts(language: str, weighting: str) -> list[Part]:
    """Returns a language's sections, and its Score as the section of its name."""
    weights = WEIGHTINGS[weighting]
    sections = [
        Part(
            Metric.section(language, section),
            {Metric.subset(f"{language}/{subset}"): weights[subset] for subset in subsets},
        )
        for section, subsets in SECTIONS.items()
    ]
    score = {section.name: 1.0 for section in sections}
    return [*sections, Part(Metric.section(language), score, needs_all=True)]


M_REWARDBENCH = Scheme(by_subset(WIN), _parts, tuple(WEIGHTINGS), ROWS)
