"""What result.json holds, and of which kinds: what readers may count on, whoever wrote it."""

from collections.abc import Iterator, Mapping
from typing import Any

from rmeval.errors import one_line

LARGEST_NUMBER = 1e300  # beyond it a number of the file is none that Python can format
NOTHING = type(None)
TEXT, MAYBE, COUNT, NUMBER = (str,), (str, NOTHING), (int,), (int, float)
COUNTED = (int, NOTHING)
Shape = Mapping[str, Any]  # by key, "?" behind one that may be absent: kinds, or a shape

ROOT: Shape = {
    "benchmark": TEXT,
    "definition": TEXT,
    "model": TEXT,
    "weighting": TEXT,
    "partial": MAYBE,
    "metrics": (dict,),
    "rows": (dict,),
    "scores_sha256": TEXT,
    "disguises_sha256?": TEXT,
    "provenance": (dict,),
}
PROVENANCE: Shape = {
    "model": {
        "name": TEXT,
        "fingerprint": TEXT,
        "family": TEXT,
        "dtype": TEXT,
        "revision?": MAYBE,
        "reference?": (dict, NOTHING),
        "per_token?": (bool,),
    },
    "engine": {"path": TEXT, "reason": MAYBE, "device": TEXT},
    "data": {
        "source": TEXT,
        "revision": MAYBE,
        "empty_responses": COUNT,
        "identical_responses": COUNT,
        "reading": {"columns?": (dict, NOTHING), "split?": MAYBE, "recipe?": (dict,)},
    },
    "versions": {"rmeval": TEXT},
    "started": TEXT,
    "seconds": NUMBER,
    "checks?": TEXT,
    "account?": (dict,),
    "ensemble?": (dict,),
}
REFERENCE: Shape = {"name": TEXT}
JUDGE: Shape = {
    "prompt": {"name": TEXT},
    "temperature": NUMBER,
    "max_new_tokens": COUNT,
    "lengths": TEXT,
    "seed?": COUNT,
}
ACCOUNT: Shape = {
    "answers": COUNT,
    "kept_before": COUNT,
    "servers?": (list,),
    "refused": COUNT,
    "refused_because": MAYBE,
    "cut": COUNT,
    "prompt_tokens": COUNTED,
    "completion_tokens": COUNTED,
    "closing_tags_alone?": COUNT,
    "usd?": (int, float, NOTHING),
}
ENSEMBLE: Shape = {"normalise": TEXT, "members": (list,)}
MEMBER: Shape = {"weight": NUMBER, "model": {"name": TEXT}}


def wrong_field(document: Mapping[str, Any]) -> str | None:
    """Returns the first field of a result.json that is missing or of another kind, or None."""
    return next(_wrong_fields(document), None)


def _wrong_fields(document: Mapping[str, Any]) -> Iterator[str]:
    yield from _wrong(document, ROOT)
    provenance = document["provenance"]
    yield from _wrong(provenance, PROVENANCE, "provenance.")
    model, reading = provenance["model"], provenance["data"]["reading"]
    if not all(isinstance(value, str) for value in (reading.get("columns") or {}).values()):
        yield "provenance.data.reading.columns"
    if "reference" in model:
        yield from _wrong(model, {"per_token": (bool,)}, "provenance.model.")
    if model.get("reference"):
        yield from _wrong(model["reference"], REFERENCE, "provenance.model.reference.")
    if model["family"] == "judge":
        yield from _wrong(model, JUDGE, "provenance.model.")
        if model.get("order", "both") not in ("both", "random"):
            yield "provenance.model.order"
        yield from _wrong(provenance, {"account": (dict,)}, "provenance.")
    if provenance.get("account"):
        yield from _wrong(provenance["account"], ACCOUNT, "provenance.account.")
        if not all(isinstance(server, str) for server in provenance["account"].get("servers", ())):
            yield "provenance.account.servers"
    if "ensemble" in provenance:
        yield from _wrong(provenance["ensemble"], ENSEMBLE, "provenance.ensemble.")
        for number, member in enumerate(provenance["ensemble"]["members"]):
            yield from _wrong(member, MEMBER, f"provenance.ensemble.members[{number}].")


def _wrong(values: Any, shape: Shape, path: str = "") -> Iterator[str]:
    if not isinstance(values, Mapping):
        yield path.removesuffix(".")
        return
    for name, kinds in shape.items():
        key = name.removesuffix("?")
        if key not in values:
            if key == name:
                yield path + key
        elif isinstance(kinds, Mapping):
            yield from _wrong(values[key], kinds, f"{path}{key}.")
        elif not _is_one_of(kinds, values[key]):
            yield one_line(path + key)


def _is_one_of(kinds: tuple[type, ...], value: Any) -> bool:
    return isinstance(value, kinds) and (is_number(value) or not isinstance(value, int | float))


def is_number(value: Any) -> bool:
    """Whether a value of a file is a number that can be computed with and shown."""
    return isinstance(value, int | float) and abs(value) < LARGEST_NUMBER
