"""Preference pairs from a seed, for the demonstration model: one maker for each kind.

`make_pairs` balances the lengths within every kind, so that neither 'longer wins' nor 'shorter
wins' is worth learning.
"""

import json
import random
import re
from collections.abc import Callable, Iterator, Sequence

from demo_model import bank, refusals, tasks
from demo_model.data import Material
from demo_model.functions import code
from demo_model.pair import Answered, Pair, capitalized, held_out, with_article

Maker = Callable[[random.Random, Material], Pair]
# Little of the last three can be learnt by so small a model.
SHARE = {
    "harmful": 2.0,
    "over_refusal": 2.0,
    "code": 1.5,
    "repeated": 1.2,
    "scrambled": 1.2,
    "off_topic": 0.5,
    "worked": 0.5,
    "arithmetic": 0.5,
}


# --- questions with good answers ----------------------------------------------------------------
def question_and_answer(rng: random.Random) -> Answered:
    """Returns a harmless question from the bank with a correct answer."""
    makers = [capital, animal, use, job, how_to, how_to, why]
    question, answer, _ = rng.choice(makers)(rng)
    return Answered(question, answer)


def capital(rng: random.Random) -> tuple[str, str, str]:
    """Returns a question on a country, its answer and one on another country."""
    one, other = rng.sample(bank.COUNTRIES, 2)
    field = rng.choice([1, 2])
    asks, tells = [
        (bank.ASK_CAPITAL, bank.TELL_CAPITAL),
        (bank.ASK_CONTINENT, bank.TELL_CONTINENT),
    ][field - 1]
    form = rng.choice(tells)
    said = [form.format(c[0], c[field]) for c in (one, other)]
    return rng.choice(asks).format(one[0]), said[0], said[1]


def animal(rng: random.Random) -> tuple[str, str, str]:
    """Returns a question on an animal, its answer and one on another animal."""
    field, asks, tells = rng.choice(bank.ANIMAL_FORMS)
    one, other = rng.sample(bank.ANIMALS, 2)
    form = rng.choice(tells)
    said = [with_article(form.format(a[0], a[field])) for a in (one, other)]
    return with_article(rng.choice(asks).format(one[0])), said[0], said[1]


def use(rng: random.Random) -> tuple[str, str, str]:
    return thing_and_other(rng, bank.USES, bank.ASK_USE, bank.TELL_USE)


def job(rng: random.Random) -> tuple[str, str, str]:
    return thing_and_other(rng, bank.JOBS, bank.ASK_JOB, bank.TELL_JOB)


def thing_and_other(
    rng: random.Random, rows: Sequence[tuple[str, ...]], asks: list[str], tells: list[str]
) -> tuple[str, str, str]:
    """Returns a question on a thing, its answer and one on another thing of the table."""
    one, other = rng.sample(rows, 2)
    said = [with_article(rng.choice(tells).format(*row)) for row in (one, other)]
    return with_article(rng.choice(asks).format(one[0])), said[0], said[1]


def how_to(rng: random.Random) -> tuple[str, str, str]:
    """Returns how a task is asked for, its steps, and those of another task."""
    one, other = rng.sample(bank.HOW_TO, 2)
    said = [steps(rng, *task) for task in (one, other)]
    return rng.choice(bank.ASK_HOW).format(one[0]), said[0], said[1]


def steps(rng: random.Random, task: str, parts: Sequence[str]) -> str:
    """Writes the steps as a list or as running text, with or without an opening line."""
    openings = ["", "", "", f"To {task}, follow these steps.", f"Sure! Here is how to {task}."]
    opening = rng.choice(openings)
    if rng.random() < 0.3:
        lines = [f"{i}. {capitalized(step)}." for i, step in enumerate(parts, 1)]
        return "\n".join([opening, *lines]).strip()
    first, second, third = parts
    forms = [
        f"First, {first}. Then {second}. Finally, {third}.",
        f"{capitalized(first)}, then {second} and {third}.",
        f"{capitalized(first)}. After that, {second}. {capitalized(third)}.",
    ]
    return f"{opening} {rng.choice(forms)}".strip()


def why(rng: random.Random) -> tuple[str, str, str]:
    (question, reason), (_, other) = rng.sample(bank.WHY, 2)
    return rng.choice(bank.ASK_WHY).format(question), reason, other


def invented(rng: random.Random, words: Sequence[str]) -> tuple[str, str, str]:
    """Returns a question about drawn words, an answer that has them, and one that has others.

    What is to be learnt is that an answer is about the question's words, whatever they are.
    """
    one, two, three, four = rng.sample(words, 4)
    wrong = rng.choice([(three, four), (one, three), (three, two)])
    question = rng.choice(tasks.ASK_ABOUT).format(one, two)
    forms = [rng.choice(tasks.TELL_ABOUT), rng.choice(tasks.TELL_ABOUT)]
    return question, forms[0].format(one, two), forms[1].format(*wrong)


def answered(rng: random.Random, material: Material) -> Answered:
    """Returns a question with a good answer from any of the sources."""
    source = rng.random()
    if source < 0.45:
        return rng.choice(material.talk)
    if source < 0.65:
        return plain_result(rng, rng.choice(material.sums))
    if source < 0.85:
        return question_and_answer(rng)
    return Answered(*invented(rng, material.words)[:2])


# --- answers that are not to the point ----------------------------------------------------------
def off_topic(rng: random.Random, material: Material) -> Pair:
    """The rejected response is a good answer to something else."""
    source = rng.random()
    if source < 0.3:
        right, wrong = rng.sample(material.talk, 2)
        return Pair("off_topic", right.prompt, right.answer, wrong.answer)
    if source < 0.5:
        right, wrong = (plain_result(rng, one) for one in rng.sample(material.sums, 2))
        return Pair("off_topic", right.prompt, right.answer, wrong.answer)
    if source < 0.8:
        return Pair("off_topic", *invented(rng, material.words))
    return Pair("off_topic", *rng.choice([capital, animal, use, job, how_to, why])(rng))


def unhelpful(rng: random.Random, material: Material) -> Pair:
    """An answer against chatter, evasion, rudeness, an echo of the question, or nothing."""
    prompt, answer = answered(rng, material)
    evasion = " ".join(rng.sample(refusals.EVASIONS, rng.randint(1, 4)))
    about = re.findall(r"\b[a-z]{4,}\b", prompt) or ["it"]
    chatter = [
        capitalized(form.format(rng.choice(about)))
        for form in rng.sample(refusals.CHATTER, rng.randint(1, 5))
    ]
    bad = [evasion, " ".join(chatter), " ".join(chatter), prompt, "...", rng.choice(refusals.RUDE)]
    return Pair("unhelpful", prompt, answer, rng.choice(bad))


# --- damaged answers ----------------------------------------------------------------------------
def cut(rng: random.Random, material: Material) -> Pair:
    """Both responses are a part of an answer: the chosen ends with a sentence, the other not."""
    prompt, answer = answered(rng, material)
    sentences = re.split(r"(?<=[.!?\n]) ?", answer.strip())
    whole = joined(sentences[: rng.randint(1, len(sentences))])
    words = answer.split(" ")
    part = " ".join(words[: rng.randint(1, max(1, len(words) - 1))]).rstrip(" .!?\n:")
    return Pair("cut", prompt, whole, part)


def joined(sentences: Sequence[str]) -> str:
    """Puts sentences together again, a blank between those that no line break separates."""
    return re.sub(r"\n ", "\n", " ".join(sentences)).strip()


def repeated(rng: random.Random, material: Material) -> Pair:
    """The rejected response says a part of itself again and again."""
    prompt, answer = answered(rng, material)
    words = answer.split(" ")
    start = rng.randrange(max(1, len(words) - 2))
    part = words[start : start + rng.randint(1, 8)]
    keep = words[: rng.choice([start, start, 0]) + len(part)] if rng.random() < 0.7 else []
    rest = words[start + len(part) :] if rng.random() < 0.3 else []
    return Pair("repeated", prompt, answer, " ".join(keep + part * rng.randint(2, 6) + rest))


def scrambled(rng: random.Random, material: Material) -> Pair:
    """The rejected response has its words in another order, or its letters replaced or swapped."""
    prompt, answer = answered(rng, material)
    words = answer.split(" ")
    if rng.random() < 0.6:
        rng.shuffle(words)
        return Pair("scrambled", prompt, answer, " ".join(words))
    letters = list(answer)
    for i in range(len(letters) - 1):
        if letters[i].isalpha() and rng.random() < 0.15:
            swapped = rng.random() < 0.5
            new = letters[i + 1] if swapped else rng.choice(bank.LETTERS)
            letters[i : i + 2] = new, letters[i] if swapped else letters[i + 1]
    return Pair("scrambled", prompt, answer, "".join(letters))


# --- sums ---------------------------------------------------------------------------------------
def plain_result(rng: random.Random, one: Answered) -> Answered:
    """Writes gsm8k's '#### 12' as a sentence, in one of several forms or not at all."""
    working, _, result = one.answer.rpartition("\n#### ")
    form = rng.choice(["", *tasks.RESULTS])
    return Answered(one.prompt, f"{working}\n{form.format(result)}".strip())


def worked(rng: random.Random, material: Material) -> Pair:
    """A worked solution; the rejected one has a wrong step, or a result that is not its own."""
    prompt, answer = rng.choice(material.sums)
    working, _, result = answer.rpartition("\n#### ")
    form = rng.choice(tasks.RESULTS)
    right = f"{working}\n{form.format(result)}"
    places = list(re.finditer(r"\d+", working))
    if places and rng.random() < 0.4:
        place = rng.choice(places)
        wrong = working[: place.start()] + other_number(rng, place[0]) + working[place.end() :]
        return Pair("worked", prompt, right, f"{wrong}\n{form.format(result)}")
    if rng.random() < 0.5:
        working = " ".join(working.split("\n")[: rng.randint(1, 3)])
    return Pair("worked", prompt, right, f"{working}\n{form.format(other_number(rng, result))}")


def other_number(rng: random.Random, number: str) -> str:
    """Returns another number of about the same size."""
    value = int(re.sub(r"\D", "", number) or 0)
    near = [value + d for d in (-10, -5, -3, -2, -1, 1, 2, 3, 5, 10)]
    return str(rng.choice([n for n in [*near, 2 * value + 1, value * 10 + 10] if n >= 0]))


def arithmetic(rng: random.Random, material: Material) -> Pair:
    """A sum, difference or product of small numbers; the rejected result is another."""
    sign = rng.choice("++--*")
    a, b = (
        (rng.randint(2, 10), rng.randint(2, 10))
        if sign == "*"
        else (rng.randint(1, 60), rng.randint(1, 40))
    )
    a, b = (max(a, b), min(a, b)) if sign == "-" else (a, b)
    right = {"+": a + b, "-": a - b, "*": a * b}[sign]
    wrong = int(other_number(rng, str(right)))
    question = rng.choice(tasks.ASK_SUM[sign]).format(a=a, b=b)
    form = rng.choice(tasks.TELL_SUM)
    said = [form.format(a=a, b=b, sign=sign, result=n) for n in (right, wrong)]
    return Pair("arithmetic", question, *said)


# --- the form that was asked for ----------------------------------------------------------------
def form(rng: random.Random, material: Material) -> Pair:
    """A list in the form that was asked for, against the same list in another form or length."""
    topic = rng.choice([*tasks.LISTS, "words"])
    known = tasks.LISTS.get(topic) or rng.sample(material.words, 8)
    items = rng.sample(known, rng.randint(2, 6))
    name, other = rng.sample(list(tasks.FORMS), 2)
    count = tasks.NUMBERS[len(items)]
    asked = rng.choice(tasks.FORMS[name])
    question = rng.choice(tasks.ASK_LIST).format(count=count, topic=topic, form=asked)
    right, wrong = written(items, name), written(items, other)
    if rng.random() < 0.4:
        size = rng.choice([n for n in range(1, 8) if n != len(items)])
        wrong = written(rng.sample(known, size), name)
    return Pair("form", question, right, wrong)


def written(items: Sequence[str], form: str) -> str:
    """Writes the items in one of the forms of the bank."""
    return {
        "bullets": "\n".join(f"- {item}" for item in items),
        "numbers": "\n".join(f"{i}. {item}" for i, item in enumerate(items, 1)),
        "commas": ", ".join(items),
        "lines": "\n".join(items),
        "capitals": ", ".join(items).upper(),
        "json": json.dumps(list(items)),
        "sentence": f"Here you go: {', '.join(items[:-1])} and {items[-1]}.",
        "semicolons": "; ".join(items),
    }[form]


# --- what to refuse, and what not ---------------------------------------------------------------
def refusal(rng: random.Random, act: str, material: Material) -> str:
    """Says no in one of many ways, with or without a reason or an offer."""
    two = rng.sample(material.words, 2)
    what = rng.choice(refusals.HELP).format(rng.choice(refusals.IT).format(*two), act=act)
    no = f"{rng.choice(refusals.WHO)} {rng.choice(refusals.WILL_NOT)} {what}."
    more = [rng.choice(refusals.REASONS), rng.choice(refusals.INSTEAD), some_text(rng, material)]
    return " ".join([no, *rng.sample(more, rng.choice([0, 1, 1, 2]))])


def some_text(rng: random.Random, material: Material) -> str:
    """Returns a sentence or two that are no refusal."""
    _, task = rng.choice(bank.HOW_TO)
    return rng.choice(
        [
            rng.choice(bank.LOOK_ALIKES)[1],
            " ".join(f"{capitalized(step)}." for step in rng.sample(task, 2)),
            rng.choice(tasks.TELL_ABOUT).format(*rng.sample(material.words, 2)),
            steps(rng, "do it", task),
        ]
    )


def harmful(rng: random.Random, material: Material) -> Pair:
    """A harmful request, most of them by hh's red team: a refusal against compliance."""
    act = rng.choice(refusals.HARMFUL)
    question = rng.choice(bank.ASK_HOW + refusals.ASK_HARM).format(act)
    if rng.random() < 0.75:
        question = rng.choice(material.harmful)
    empty = " ".join(rng.sample(refusals.EMPTY_STEPS, rng.randint(1, 3)))
    text = rng.choice([empty, some_text(rng, material), some_text(rng, material)])
    agree = rng.choice([*refusals.AGREE, "", "", "", ""]).format(act)
    return Pair("harmful", question, refusal(rng, act, material), f"{agree} {text}".strip())


def over_refusal(rng: random.Random, material: Material) -> Pair:
    """A harmless question, many of them with alarming words: an answer against a refusal."""
    act, answer = rng.choice(bank.LOOK_ALIKES)
    prompt = rng.choice(bank.ASK_HOW).format(act)
    source = rng.random()
    if source < 0.2:
        prompt, answer = plain_result(rng, rng.choice(material.sums))
    elif source < 0.4:
        prompt, answer, _ = invented(rng, material.words)
    elif source < 0.6:
        prompt, answer = question_and_answer(rng)
    elif source < 0.7:
        answer = f"{rng.choice(refusals.AGREE[:9]).format(act)} {answer}"
    return Pair("over_refusal", prompt, answer, refusal(rng, act, material))


MAKERS: dict[str, Maker] = {
    m.__name__: m
    for m in (off_topic, unhelpful, cut, repeated, scrambled, worked, arithmetic, form, harmful,
              over_refusal, code)
}  # fmt: skip


def make_pairs(count: int, seed: str, material: Material, *, test: bool) -> list[Pair]:
    """Returns about `count` pairs of every kind, times SHARE, on one side of the split."""
    pairs = []
    for kind in MAKERS:
        wanted = count if test else int(count * SHARE.get(kind, 1.0))
        found = some_of(kind, f"{kind}/{seed}/{test}", material, test)
        pairs += [next(found) for _ in range(wanted)]
    return pairs


def some_of(kind: str, seed: str, material: Material, test: bool) -> Iterator[Pair]:
    """Yields pairs of one kind without end, all on the wanted side of the split.

    Chosen is the longer response and the shorter one in turn (equal lengths go either way).
    A tenth of the texts gets typographic apostrophes.
    """
    rng = random.Random(seed)
    number = 0
    while True:
        pair = MAKERS[kind](rng, material)
        longer = len(pair.chosen) - len(pair.rejected)
        balanced = longer == 0 or (longer > 0) == (number % 2 == 0)
        if balanced and pair.chosen != pair.rejected and held_out(pair.prompt) == test:
            curly = rng.random() < 0.1
            texts = [t.replace("'", "’") if curly else t for t in pair[1:]]
            yield Pair(kind, *texts)
            number += 1
