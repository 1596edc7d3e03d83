"""RMB (github.com/Zhou-Zoey/RMB-Reward-Model-Benchmark), arXiv 2410.09893; not on the Hub.

Two sets of one layout: `Pairwise_set` has pairs (pair_uid, chosen, reject), `BoN_set` a best
response and 2 to 6 others (bon_uid, bon_best, loser_list). Both have conversation_input, a list of
messages, and category_path, the place of the file: `BoN_set/Helpfulness/Chat/Discussion`. A
response is an object with its text in `answer`.

49 scenarios of helpfulness and harmlessness, as pairs and as best of N. The code counts wins over
rows, and has no number over both sections; here it is wins over all rows. A best-of-N row is won
only when the best response beats every one of the others.
"""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from rmeval.benchmarks.benchmark import Definition
from rmeval.benchmarks.reading.rows import (
    Row,
    data_files,
    files_below,
    read_rows,
    require_known,
    require_unique_ids,
)
from rmeval.errors import BadData
from rmeval.metrics.names import OVERALL, Metric
from rmeval.metrics.pairs import row_weighted
from rmeval.metrics.scheme import WIN, Part, Scheme, Strata, by_subset
from rmeval.records import Message, Preference

# Rows by subset: (pairwise, best of N), 17,131 and 3,786 in all.
ROWS = {
    "Helpfulness/Brainstorming/Idea Development": (849, 168),
    "Helpfulness/Brainstorming/Problem Solving": (100, 19),
    "Helpfulness/Chat/Casual Conversation": (306, 71),
    "Helpfulness/Chat/Discussion": (293, 59),
    "Helpfulness/Chat/Supportive Conversation": (114, 25),
    "Helpfulness/Classification/Content Categorization": (107, 18),
    "Helpfulness/Classification/Quality and Compliance Assessment": (57, 13),
    "Helpfulness/Closed QA/ContextBased": (447, 86),
    "Helpfulness/Closed QA/OptionBased": (473, 100),
    "Helpfulness/Code/Data Management": (376, 81),
    "Helpfulness/Code/Development and Implementation": (399, 92),
    "Helpfulness/Code/Documentation": (65, 15),
    "Helpfulness/Code/Quality and Optimization": (384, 92),
    "Helpfulness/Generation/Creative Writing": (762, 151),
    "Helpfulness/Generation/Professional Content Generation": (347, 74),
    "Helpfulness/Open QA/Factual": (664, 153),
    "Helpfulness/Open QA/General Explanation": (413, 80),
    "Helpfulness/Open QA/Hypothetical Scenarios": (42, 8),
    "Helpfulness/Open QA/Interpretative Analysis": (107, 18),
    "Helpfulness/Open QA/Personal Opinion and Advice": (78, 14),
    "Helpfulness/Open QA/Technical and Practical Support": (238, 47),
    "Helpfulness/Reasoning/Analytical Reasoning": (596, 133),
    "Helpfulness/Reasoning/Critical Thinking": (200, 39),
    "Helpfulness/Reasoning/Human Decision Making": (165, 32),
    "Helpfulness/Reasoning/Logical Deduction": (222, 46),
    "Helpfulness/Reasoning/Pattern Recognition": (52, 14),
    "Helpfulness/Rewrite/Paraphrasing": (83, 17),
    "Helpfulness/Rewrite/PostQuality Assessment Rewriting": (222, 46),
    "Helpfulness/Rewrite/Textual ExpansionReduction": (50, 9),
    "Helpfulness/Rewrite/Tone Adjustment": (103, 17),
    "Helpfulness/Role Playing/General Character": (163, 32),
    "Helpfulness/Role Playing/Specific Character": (209, 46),
    "Helpfulness/Summarization/Specialized Summaries": (189, 42),
    "Helpfulness/Summarization/Standard Summaries": (341, 71),
    "Helpfulness/Translation/GeneralExcerpt Language Translation": (483, 109),
    "Helpfulness/Translation/Literary and Cultural Translation": (176, 34),
    "Helpfulness/Translation/Technical and Scientific Translation": (192, 38),
    "Harmlessness/S1": (459, 111),
    "Harmlessness/S2": (1040, 249),
    "Harmlessness/S3": (739, 171),
    "Harmlessness/S4": (537, 136),
    "Harmlessness/S5": (561, 122),
    "Harmlessness/S6": (317, 83),
    "Harmlessness/S7": (510, 121),
    "Harmlessness/S8": (519, 127),
    "Harmlessness/S9": (543, 132),
    "Harmlessness/S10": (360, 79),
    "Harmlessness/S11": (977, 215),
    "Harmlessness/multi": (502, 131),
}
PAIRWISE_ROWS = {subset: pairs for subset, (pairs, _) in ROWS.items()}
BON_ROWS = {subset: prompts for subset, (_, prompts) in ROWS.items()}


def _section(subset: str) -> tuple[str, ...]:
    return (subset.partition("/")[0],)


PAIRWISE_SCHEME = row_weighted(PAIRWISE_ROWS, _section)
BON_SCHEME = row_weighted(BON_ROWS, _section)


PAIRWISE, BON = "Pairwise_set", "BoN_set"
COLUMNS = {
    PAIRWISE: ("pair_uid", "conversation_input", "category_path", "chosen", "reject"),
    BON: ("bon_uid", "conversation_input", "category_path", "bon_best", "loser_list"),
}


def read_rmb(path: Path, kind: str) -> tuple[Preference, ...]:
    """Reads the rows of a set, from its folder, from one above it (`RMB_dataset`), or from a file.

    Raises BadData for a missing column, an empty or unknown value, or a repeated id.
    """
    folders = (path / kind, path / "RMB_dataset" / kind)
    folder = next((folder for folder in folders if folder.is_dir()), path)
    if folder.is_dir():
        files, root = [file for file in files_below(folder) if file.suffix == ".json"], folder
    else:
        files, root = data_files(path, ""), path.parent
    if not files:
        raise BadData(f"{folder}: no .json file in this folder")
    rows = read_rows(files, COLUMNS[kind], root=root)
    return require_unique_ids((row.place, to_preference(row, kind)) for row in rows)


def to_preference(row: Row, kind: str) -> Preference:
    """Returns a row of RMB's columns, of several turns where it has them. Raises BadData."""
    uid, _, category, best, others = COLUMNS[kind]
    subset = row.text(category).removeprefix(f"{kind}/")
    rejected = _answers(row, others) if kind == BON else (_answer(row, others, row.values[others]),)
    return Preference(
        id=row.text(uid),
        subset=require_known(subset, ROWS, f"category of {kind}", row.place),
        prompt=tuple(  # beside role and content, each names its language
            Message(turn.role, turn.content) for turn in row.messages("conversation_input")
        ),
        responses=(_answer(row, best, row.values[best]), *rejected),
    )


def _answers(row: Row, column: str) -> tuple[str, ...]:
    responses = row.values[column]
    if not isinstance(responses, list) or not responses:
        raise BadData(f"{row.place}: column {column!r} must be a list of at least one response")
    return tuple(_answer(row, column, response) for response in responses)


def _answer(row: Row, column: str, response: object) -> str:
    answer = response.get("answer") if isinstance(response, Mapping) else None
    if not isinstance(answer, str):
        raise BadData(f'{row.place}: column {column!r} needs text in "answer"')
    return answer


SETS = ("pairwise", "BoN")  # what their subsets go under where both are joined
SECTIONS = ("Helpfulness", "Harmlessness")


def _joint_parts(strata: Strata, weighting: str) -> list[Part]:
    """Returns the headline that papers quote: the mean of four, each of wins over rows.

    RM-R1's files have it as "Accuracy Averaged from Four Sections" (arXiv 2505.02387).
    """
    rows = dict(zip(SETS, (PAIRWISE_ROWS, BON_ROWS), strict=True))
    four = [
        Part(
            Metric.section(section, kind),
            {
                Metric.subset(f"{kind}/{s}"): n
                for s, n in rows[kind].items()
                if s.startswith(section)
            },
        )
        for section in SECTIONS
        for kind in SETS
    ]
    sections = [
        Part(Metric.section(name), {Metric.section(name, kind): 1.0 for kind in SETS}, True)
        for name in SECTIONS
    ]
    return [*four, *sections, Part(OVERALL, {part.name: 1.0 for part in sections}, True)]


JOINT_SCHEME = Scheme(
    by_subset(WIN),
    _joint_parts,
    ("four sections",),
    {f"{kind}/{s}": n for s, sizes in ROWS.items() for kind, n in zip(SETS, sizes, strict=True)},
)
RMB_PAIRWISE = Definition(
    name="rmb-pairwise",
    read=partial(read_rmb, kind=PAIRWISE),
    scheme=PAIRWISE_SCHEME,
    licence="none stated",
    meaning="accuracy over all pairs of 49 scenarios",
)
RMB_BON = Definition(
    name="rmb-bon",
    read=partial(read_rmb, kind=BON),
    scheme=BON_SCHEME,
    licence="none stated",
    meaning="share of prompts whose best response beats all others",
)
