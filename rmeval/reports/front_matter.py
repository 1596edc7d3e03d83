"""The YAML metadata at the top of a model card, edited in place.

Nothing changes but what is to change, byte for byte: the rest is somebody's own hand, with its
comments, its spacing and its ends of lines. So the text is cut at the places that PyYAML's own
parser names, and the outcome is read back and must hold what it should, nothing else.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any

import yaml

from rmeval.errors import BadData

# As the Hub finds it (huggingface_hub.repocard), and with nothing between the two lines too.
END = r"(?:\r\n|\r|\n)"
FRONT = re.compile(
    rf"\A(?P<open>\ufeff?\s*---(?P<newline>{END}))(?P<yaml>(?:.*?{END})??)---[ \t]*(?=[\r\n]|\Z)",
    re.S,
)
INDEX = "model-index"
BY_HAND = "add the results by hand"

Item = dict[str, Any]
Merge = Callable[[Sequence[Item], Sequence[Item]], list[list[Item]]]
"""Takes old items and new ones; returns what is to stand in the place of each old one."""


def merge_items(text: str, name: str, new: Sequence[Item], merge: Merge) -> str:
    """Returns a README whose model-index has also the items `new`, of the model `name`.

    Raises BadData for metadata that cannot be read, or has a form that cannot be edited.
    """
    front = FRONT.match(text)
    if front is None:
        return _with_front(text, [{"name": name, "results": list(new)}])
    before = _load(front["yaml"])
    after, edits = _edit(front["yaml"], before, name, new, merge)
    merged = front["yaml"]
    for start, end, replacement in reversed(edits):
        replacement = replacement.replace("\n", front["newline"])
        merged = merged[:start] + replacement + merged[end:]
    try:
        same = repr(_load(merged)) == repr(after)  # NaN equals itself, in its text
    except BadData:
        same = False
    if not same:
        raise BadData(f"the README's metadata has a form that rmeval cannot edit; {BY_HAND}")
    return text[: front.start("yaml")] + merged + text[front.end("yaml") :]


def dump(values: Any) -> str:
    """Returns values as YAML, in their own order."""
    return str(yaml.safe_dump(values, sort_keys=False, allow_unicode=True))


def _with_front(text: str, index: Any) -> str:
    """Returns a README that had no metadata with some, behind its byte order mark."""
    body = text.removeprefix("\ufeff")
    if re.match(rf"\s*---(?:{END}|\Z)", body):
        raise BadData("the README's metadata begins with --- and has no end; fix it first")
    newline = "\r\n" if "\r\n" in text else "\n"
    front = f"---\n{dump({INDEX: index})}---\n".replace("\n", newline)
    return text[: len(text) - len(body)] + front + body


def _load(metadata: str) -> Item:
    try:
        found = yaml.safe_load(metadata)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise BadData("the README's metadata is not YAML; fix it first") from error
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise BadData("the README's metadata is not a table of names and values; fix it first")
    return found


def _edit(
    metadata: str, before: Item, name: str, new: Sequence[Item], merge: Merge
) -> tuple[Item, list[tuple[int, int, str]]]:
    """Returns what the metadata is to hold, and the edits (start, end, text) that make it so."""
    root = yaml.compose(metadata, Loader=yaml.SafeLoader)
    pairs = [] if root is None else [p for p in root.value if p[0].value == INDEX]
    elements = before.get(INDEX) or []
    chosen = _choose(elements, name)
    old = [] if chosen is None else elements[chosen].get("results") or []
    plan = merge(old, new)
    changed = {"name": name, "results": list(new)}
    if chosen is not None:
        results = [item for items in plan for item in items] if old else list(new)
        changed = {**elements[chosen], "results": results}
    index = [changed if k == chosen else element for k, element in enumerate(elements)]
    after = {**before, INDEX: index or [changed]}
    margin = root.start_mark.column if root is not None else 0
    block = _indented(dump({INDEX: after[INDEX]}), margin)
    if not pairs:
        return after, [(len(metadata), len(metadata), block)]
    key, value = pairs[0]
    node = _results_node(value, chosen) if old else None
    if node is None:
        start = key.start_mark.index - key.start_mark.column
        return after, [(start, _content_end(metadata, value.end_mark.index), block)]
    return after, _item_edits(metadata, node, old, plan)


def _choose(elements: Any, name: str) -> int | None:
    """Returns which element of a model-index is the model's: of its name, or the only one."""
    try:
        names = [element["name"] for element in elements]
        lists = [element.get("results") or [] for element in elements]
    except (KeyError, TypeError, AttributeError) as error:
        raise BadData(f"the README's {INDEX} cannot be read; fix it first") from error
    if not all(isinstance(item, list) for item in lists):
        raise BadData(f"the README's {INDEX} cannot be read; fix it first")
    if not names:
        return None
    if name in names:
        return names.index(name)
    if len(names) > 1:
        raise BadData(f"the README's {INDEX} has several models, and none is {name}; {BY_HAND}")
    return 0


def _results_node(index: yaml.Node, chosen: int | None) -> yaml.SequenceNode | None:
    """Returns the list `results` of an element, where it is written as a list of lines."""
    if chosen is None or not _is_block(index) or not _is_block(index.value[chosen]):
        return None
    for key, value in index.value[chosen].value:
        if key.value == "results" and all(map(_is_block, (value, *value.value))):
            return value
    return None


def _is_block(node: Any) -> bool:
    return isinstance(node, yaml.CollectionNode) and not node.flow_style  # None: no indent


def _item_edits(
    metadata: str, node: yaml.SequenceNode, old: Sequence[Item], plan: Sequence[Sequence[Item]]
) -> list[tuple[int, int, str]]:
    """Returns the edits that put the planned items in the place of the old ones."""
    edits, margin = [], node.start_mark.column
    for item, place, planned in zip(node.value, old, plan, strict=True):
        kept = bool(planned) and planned[0] is place
        added = list(planned[kept:])
        if kept and not added:
            continue
        end = _content_end(metadata, item.end_mark.index)
        start = end if kept else _dash(metadata, item.start_mark.index)
        edits.append((start, end, _indented(dump(added), margin) if added else ""))
    return edits


def _dash(metadata: str, index: int) -> int:
    """Returns the start of the line with the dash of the item whose content starts at `index`."""
    start = index
    for line in reversed(re.split(r"(?<=[\r\n])", metadata[:index])):
        start -= len(line)
        if line.lstrip().startswith("-"):
            return start
    raise BadData(f"the README's metadata has a form that rmeval cannot edit; {BY_HAND}")


def _content_end(metadata: str, limit: int) -> int:
    """Returns the end of the line of the last token before `limit`, past its end of line.

    A block of YAML ends where the next one starts; the comments between are nobody's.
    """
    marks = [
        token.end_mark.index
        for token in yaml.scan(metadata, Loader=yaml.SafeLoader)
        if token.start_mark.index < limit
        and not isinstance(token, yaml.BlockEndToken | yaml.StreamEndToken)
    ]
    last: int = max(marks)
    if metadata[:last].endswith(("\n", "\r")):  # a block of text ends behind its last line
        return last
    line = re.compile(rf"[^\r\n]*{END}?").match(metadata, last)
    assert line is not None  # it matches nothing too
    return line.end()


def _indented(block: str, margin: int) -> str:
    return re.sub(r"^(?=[^\n])", " " * margin, block, flags=re.M)
