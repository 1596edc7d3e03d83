"""Small functions in six languages, and what can be wrong with them."""

import random
import re
from collections.abc import Callable, Sequence

from demo_model import tasks
from demo_model.data import Material
from demo_model.pair import Pair

Fault = Callable[[random.Random, str, Sequence[str], Sequence[str]], str]
"""From a sound function, the names in it, and words for other names, to a faulty function."""


def code(rng: random.Random, material: Material) -> Pair:
    """A function in one of six languages; the rejected one has a fault, as in HumanEvalPack."""
    language = rng.choice(list(tasks.CODE))
    name = identifier(rng, material, language, 2)
    names = {key: identifier(rng, material, language, 1) for key in ("a", "b")}
    task, right, wrong = two_functions(rng, language, {"name": name, **names})
    faults: list[Fault | None] = [other_name, other_name, no_return, cut_short, other_sign, None]
    fault = rng.choice(faults)
    bad = fault(rng, right, list(names.values()), material.words) if fault else wrong
    question = rng.choice(tasks.ASK_CODE).format(language=language, task=task, name=name)
    return Pair("code", question, right, bad)


def identifier(rng: random.Random, material: Material, language: str, words: int) -> str:
    """Returns a name as the language's style has it."""
    parts = rng.sample(material.words, words)
    if language in ("Python", "Rust"):
        return "_".join(parts)
    first, *rest = parts
    camel = "".join([first, *map(str.capitalize, rest)])
    return camel[:1].upper() + camel[1:] if language == "Go" and words > 1 else camel


def two_functions(rng: random.Random, language: str, names: dict[str, str]) -> tuple[str, str, str]:
    """Returns a task, a function that solves it, and one that solves another task."""
    expression_form, loop_form = tasks.CODE[language]
    if rng.random() < 0.5:
        (task, right), (_, wrong) = rng.sample(tasks.EXPRESSIONS, 2)
        said = [expression_form % {**names, "e": e % names} for e in (right, wrong)]
    else:
        (task, *steps), (_, *others) = rng.sample(tasks.LOOPS, 2)
        said = [
            renamed(loop_form % {**names, "start": s, "step": e, "test": t}, names)
            for s, e, t in (steps, others)
        ]
    if language == "Python":
        said = [text.replace("true", "True") for text in said]
    return task, said[0], said[1]


def renamed(text: str, names: dict[str, str]) -> str:
    """Calls the list and the result of a loop by drawn names."""
    return re.sub(r"\btotal\b", names["b"], re.sub(r"\bxs\b", names["a"], text))


def other_name(rng: random.Random, right: str, names: Sequence[str], words: Sequence[str]) -> str:
    """One use of a name, not the first, has another name that nothing defines."""
    places = [m for name in names for m in [*re.finditer(rf"\b{name}\b", right)][1:]]
    if not places:
        return right
    place = rng.choice(places)
    return right[: place.start()] + rng.choice(words) + right[place.end() :]


def no_return(rng: random.Random, right: str, names: Sequence[str], words: Sequence[str]) -> str:
    """Nothing is returned: the word is missing, or its line."""
    if rng.random() < 0.5:
        return re.sub(r"\breturn ", "", right)
    lines = right.split("\n")
    return "\n".join(line for line in lines if not line.strip().startswith("return "))


def cut_short(rng: random.Random, right: str, names: Sequence[str], words: Sequence[str]) -> str:
    """The end is missing."""
    return right[: rng.randint(len(right) // 3, len(right) - 2)].rstrip()


def other_sign(rng: random.Random, right: str, names: Sequence[str], words: Sequence[str]) -> str:
    """An operator is another one."""
    signs = {" + ": " - ", " - ": " + ", " * ": " + ", " / ": " * ", "+=": "-=", "*=": "+="}
    signs |= {" > ": " < ", " == ": " != ", " < ": " > "}
    places = [m for sign in signs for m in re.finditer(re.escape(sign), right)]
    if not places:
        return right
    place = rng.choice(places)
    return right[: place.start()] + signs[place[0]] + right[place.end() :]
