"""Damage: one thing wrong in what was right, drawn from a seed."""

import copy
import json
from random import Random
from typing import Any

DEEP: Any = []
for _ in range(200):
    DEEP = [DEEP]
WRONG: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    1,
    3,
    2**31,
    2**63,
    10**400,
    0.5,
    -0.0,
    1e308,
    5e-324,
    float("nan"),
    float("inf"),
    "",
    "x",
    "auto",
    "None",
    "\ud800",
    "\x00",
    "x" * 5000,
    "{{ x }}",
    [],
    [None],
    [1, "a"],
    ["x"],
    [[]],
    {},
    {"": None},
    {"x": 1},
    {"0": "x"},
    {"type": "x"},
    DEEP,
)


def spoil(value: Any, random: Random) -> Any:
    """Returns a copy of what JSON holds with one place changed, taken away or put in."""
    value = copy.deepcopy(value)
    places = list(_places(value))
    if not places:
        return random.choice(WRONG)
    holder, key = random.choice(places)
    change = random.randrange(8)
    if change == 0:
        del holder[key]
    elif change == 1 and isinstance(holder, dict):
        holder[random.choice(["", "x", "type", "\x00", "é"])] = random.choice(WRONG)
    elif change == 2 and isinstance(holder, list):
        holder.insert(0, copy.deepcopy(holder[key]))
    elif change == 3 and len(places) > 1:
        holder[key] = copy.deepcopy(_get(random.choice(places)))
    else:
        holder[key] = random.choice(WRONG)
    return value


def spoil_bytes(data: bytes, random: Random) -> bytes:
    """Returns bytes with one place cut, overwritten, repeated or put in."""
    at = random.randrange(len(data) + 1)
    length = random.choice([1, 1, 2, 8, 100])
    wrong = random.choice(
        [b"\x00", b"\xff", b"\xff\xfe", b"\n", b'"', b"{", b"]", b"\\u", b"9" * 20]
    )
    return random.choice(
        [
            data[:at],
            b"",
            data[:at] + wrong + data[at:],
            data[:at] + wrong + data[at + len(wrong) :],
            data[:at] + data[at + length :],
            data[:at] + data[at : at + length] + data[at:],
            data[:at] + bytes(random.randrange(256) for _ in range(length)) + data[at + length :],
        ]
    )


def spoil_json(text: str | bytes, random: Random) -> bytes:
    """Returns a JSON document with a value that is wrong, or with wrong bytes."""
    if random.randrange(6) == 0:
        return spoil_bytes(text if isinstance(text, bytes) else text.encode(), random)
    return dump(spoil(json.loads(text), random))


def spoil_lines(text: str, random: Random) -> bytes:
    """Returns JSON Lines of which one is damaged."""
    lines = text.encode().splitlines()
    at = random.randrange(len(lines))
    lines[at] = spoil_json(lines[at], random)
    return b"\n".join(lines) + b"\n"


def dump(value: Any) -> bytes:
    """Returns JSON as bytes, halves of surrogate pairs escaped."""
    return json.dumps(value).encode()


def _get(place: tuple[Any, Any]) -> Any:
    return place[0][place[1]]


def _places(value: Any, depth: int = 0) -> Any:
    """Yields every container with one of its keys; those further up more often."""
    keys = list(value) if isinstance(value, dict) else range(len(value))
    for key in keys if isinstance(value, dict | list) and depth < 12 else ():
        yield from [(value, key)] * (3 if depth == 0 else 1)
        if isinstance(value[key], dict | list):
            yield from _places(value[key], depth + 1)
