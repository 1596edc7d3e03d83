"""The columns of a user's own data: our names for theirs, and what to pass where they differ."""

from collections.abc import Iterable, Mapping, Sequence

from rmeval.errors import BadData, BadOption, UnknownName, one_line

FIELDS = (
    "prompt",
    "messages",
    "chosen",
    "rejected",
    "subset",
    "id",
    "magnitude",
    "weight",
    "cluster",
    "system",
    "tools",
    "reference",
    "responses",
    "correct",
    "answers",
    "criterion",
)
ANSWERS = ("responses", "correct", "answers")  # of questions with right and wrong answers
SCORES = "scores"  # what `correct` may be called, with 1 and 0
TEXTS = (
    "prompt",
    "messages",
    "chosen",
    "rejected",
    "system",
    "responses",
    "answers",
)  # each is of a column of its own

# Names that published sets have for these. They are offered in an error, never taken unasked:
# `input` is the whole prompt in one set and half of it in the next.
OTHER_NAMES = {
    "prompt": [
        "question",
        "instruction",
        "input",
        "query",
        "context",
        "history",
        "conversations",
        "conversation",
        "trajectory",
        "dialogue",
        "post",
    ],
    "chosen": [
        "response_j",
        "good",
        "better",
        "preferred",
        "accepted",
        "positive",
        "chosen_response",
    ],
    "rejected": [
        "response_k",
        "bad",
        "worse",
        "dispreferred",
        "refused",
        "negative",
        "rejected_response",
    ],
}
LABELS = [
    "better_response_id",
    "safer_response_id",
    "overall_preference",
    "preference_strength",
    "preference",
    "winner",
    "winner_model_a",
    "labels",
    "label",
    "choice",
    "rank",
    "score_A",
    "score_0",
]


def check_fields(columns: Mapping[str, str]) -> None:
    """Raises UnknownName for a field that does not exist, BadOption for one that must be read.

    Raises BadOption too for one column that is to be two of a conversation's texts.
    """
    for field, column in columns.items():
        if field not in FIELDS:
            raise UnknownName("field of `columns=`", field, FIELDS)
        if not column and field in ("chosen", "rejected"):
            raise BadOption(f"{as_argument({field: column})}: {field} cannot be left unread")
    named = _named(columns)
    taken: dict[str, str] = {}
    for field in TEXTS:
        if named[field] in taken:
            other, column = taken[named[field]], one_line(named[field])[:80]
            raise BadOption(f"`columns=`: {other} and {field} are both to be column {column!r}")
        taken |= {named[field]: field} if named[field] else {}


def find_columns(found: Sequence[str], asked: Mapping[str, str], place: str) -> dict[str, str]:
    """Returns those columns of a file that are ours, by our names for them.

    `asked` are the user's own names for some. Raises BadData for a column that is asked for and
    not there, and where neither chosen and rejected nor responses and correct are there.
    """
    for field, column in asked.items():
        if column and column not in found:
            raise BadData(
                f"{place}: no column {column!r} ({as_argument({field: column})}); "
                f"found: {_list(found)}"
            )
    named = _named(asked)
    columns = {field: column for field, column in named.items() if column and column in found}
    if "responses" in columns and not {"chosen", "rejected"} & columns.keys():
        return _of_answers(columns, found, place)
    stray = [field for field in ANSWERS if field in columns and asked.get(field)]
    if stray:
        raise BadData(f"{place}: {stray[0]} beside chosen or rejected; a row has one or the other")
    missing = [field for field in ("chosen", "rejected") if field not in columns]
    if missing:
        raise missing_columns(missing, found, asked, place)
    return {field: column for field, column in columns.items() if field not in ANSWERS}


def _of_answers(columns: dict[str, str], found: Sequence[str], place: str) -> dict[str, str]:
    """Returns the columns of a question with right and wrong answers. Raises BadData."""
    if "correct" not in columns and SCORES in found:
        columns["correct"] = SCORES
    if "correct" not in columns:
        raise BadData(
            f"{place}: responses, but no column correct that says which are right; found: "
            f"{_list(found)}; pass {as_argument({'correct': 'COLUMN'})}"
        )
    return columns


def _named(asked: Mapping[str, str]) -> dict[str, str]:
    """Returns the column that each of our names stands for, "" for one that is not to be read."""
    named = {field: asked.get(field, field) for field in FIELDS}
    if asked.get("prompt") and "messages" not in asked:
        named["messages"] = ""
    if asked.get("messages") and "prompt" not in asked:
        named["prompt"] = ""
    return named


def missing_columns(
    missing: Sequence[str], found: Sequence[str], asked: Mapping[str, str], place: str
) -> BadData:
    """Returns the error for fields that no column has, with the `columns` that would mend it."""
    known = {name: [n for n in OTHER_NAMES[name] if n in found] for name in OTHER_NAMES}
    wanted = [*missing]
    if "prompt" not in wanted and not {"prompt", "messages"} & {*found, *asked}:
        wanted += ["prompt"] if known["prompt"] else []
    label = next((name for name in LABELS if name in found), None)
    if all(len(known[field]) == 1 for field in wanted):
        renamed = {field: column for field, column in asked.items() if field != column}
        renamed |= {field: known[field][0] for field in ("prompt", *missing) if field in wanted}
        advice = f"pass {as_argument(renamed)}"
    elif label is not None and "chosen" in missing and not known["chosen"]:
        advice = f"if {label!r} says which response is better, make chosen and rejected from it"
    else:
        advice = f"pass {as_argument(dict.fromkeys(missing, 'COLUMN'))}"
    return BadData(f"{place}: no column {', '.join(missing)}; found: {_list(found)}; {advice}")


def as_argument(columns: Mapping[str, str]) -> str:
    """Returns columns as they are passed, for a message."""
    return f"`columns={dict(columns)}`"


def _list(found: Iterable[str]) -> str:
    return one_line(", ".join(map(str, found)))[:300] or "none"
