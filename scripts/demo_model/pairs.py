"""Preference pairs from templates and a seed, for the demonstration model.

Each maker draws one Pair. `make_pairs` balances the lengths within every kind, so that neither
'longer wins' nor 'shorter wins' is worth learning.
"""

import json
import random
from collections.abc import Callable, Sequence

from demo_model import bank, refusals, tasks
from demo_model.pair import Answered, Pair, capitalized, held_out, user, with_article

Maker = Callable[[random.Random, Sequence[Answered]], Pair]


def question_and_answer(rng: random.Random) -> Answered:
    """Returns a harmless question from the bank with a correct answer."""
    kind = rng.choice(["capital", "animal", "use", "job", "how", "why"])
    if kind == "capital":
        question, answer, _ = capital_question(rng)
        return Answered(user(question), answer)
    if kind == "animal":
        question, answer, _ = animal_question(rng)
        return Answered(user(question), answer)
    if kind == "use":
        thing, use = rng.choice(bank.USES)
        question = rng.choice(bank.ASK_USE).format(thing)
        answer = rng.choice(bank.TELL_USE).format(thing, use)
        return Answered(user(with_article(question)), with_article(answer))
    if kind == "job":
        job, work = rng.choice(bank.JOBS)
        question = rng.choice(bank.ASK_JOB).format(job)
        answer = rng.choice(bank.TELL_JOB).format(job, work)
        return Answered(user(with_article(question)), with_article(answer))
    if kind == "how":
        task, steps = rng.choice(bank.HOW_TO)
        return Answered(
            user(rng.choice(bank.ASK_HOW).format(task)), how_to_answer(rng, task, steps)
        )
    question, reason = rng.choice(bank.WHY)
    return Answered(user(rng.choice(bank.ASK_WHY).format(question)), reason)


def how_to_answer(rng: random.Random, task: str, steps: Sequence[str]) -> str:
    """Writes the steps as a list or as running text, with or without an opening line."""
    opening = rng.choice(
        ["", "", f"To {task}, follow these steps. ", f"Sure! Here is how to {task}. "]
    )
    if rng.random() < 0.4:
        lines = [f"{i}. {capitalized(step)}." for i, step in enumerate(steps, 1)]
        return "\n".join(([opening.strip()] if opening else []) + lines)
    first, second, third = steps
    return f"{opening}First, {first}. Then {second}. Finally, {third}."


def capital_question(rng: random.Random) -> tuple[str, str, str]:
    """Returns a question on a country, a true answer and a false one of the same form."""
    country, city, continent = rng.choice(bank.COUNTRIES)
    _, other_city, other_continent = rng.choice([c for c in bank.COUNTRIES if c[2] != continent])
    if rng.random() < 0.6:
        form = rng.choice(bank.TELL_CAPITAL)
        question = rng.choice(bank.ASK_CAPITAL).format(country)
        return question, form.format(country, city), form.format(country, other_city)
    form = rng.choice(bank.TELL_CONTINENT)
    question = rng.choice(bank.ASK_CONTINENT).format(country)
    return question, form.format(country, continent), form.format(country, other_continent)


def animal_question(rng: random.Random) -> tuple[str, str, str]:
    """Returns a question on an animal, a true answer and a false one of the same form."""
    field, asks, tells = rng.choice(bank.ANIMAL_FORMS)
    animal = rng.choice(bank.ANIMALS)
    other = rng.choice([a for a in bank.ANIMALS if a[field] != animal[field]])
    form = rng.choice(tells)
    question = rng.choice(asks).format(animal[0])
    said = [form.format(animal[0], a[field]) for a in (animal, other)]
    return with_article(question), with_article(said[0]), with_article(said[1])


def facts(rng: random.Random, pool: Sequence[Answered]) -> Pair:
    question, true, false = rng.choice([capital_question, animal_question])(rng)
    return Pair("facts", user(question), true, false)


def off_topic(rng: random.Random, pool: Sequence[Answered]) -> Pair:
    """The rejected response is a good answer to something else."""
    right, wrong = rng.sample(pool, 2) if rng.random() < 0.5 else (bank_draw(rng), bank_draw(rng))
    return Pair("off_topic", right.prompt, right.answer, wrong.answer)


def bank_draw(rng: random.Random) -> Answered:
    return question_and_answer(rng)


def whole_answer(rng: random.Random, pool: Sequence[Answered]) -> Answered:
    return rng.choice(pool) if rng.random() < 0.7 else question_and_answer(rng)


def cut_or_repeated(rng: random.Random, pool: Sequence[Answered]) -> Pair:
    """The rejected response stops in the middle, or says a part of itself again and again."""
    prompt, answer = whole_answer(rng, pool)
    words = answer.split(" ")
    if rng.random() < 0.5:
        bad = " ".join(words[: max(1, int(len(words) * rng.uniform(0.2, 0.8)))])
    else:
        start = rng.randrange(max(1, len(words) - 8))
        part = words[start : start + rng.randint(1, 8)]
        keep = words[: start + len(part)]
        times = rng.randint(1, 1 + len(words) // len(part))
        bad = " ".join(keep + part * times + (words[start + len(part) :] if times < 3 else []))
    return Pair("cut_or_repeated", prompt, answer, bad)


def scrambled(rng: random.Random, pool: Sequence[Answered]) -> Pair:
    """The rejected response has its words in another order, or its letters replaced or swapped."""
    prompt, answer = whole_answer(rng, pool)
    words = answer.split(" ")
    how = rng.choice(["order", "swap", "replace"])
    if how == "order":
        rng.shuffle(words)
        return Pair("scrambled", prompt, answer, " ".join(words))
    letters = list(answer)
    for i in range(len(letters) - 1):
        if letters[i].isalpha() and rng.random() < 0.25:
            swapped = letters[i + 1], letters[i]
            letters[i : i + 2] = (
                swapped if how == "swap" else (rng.choice(bank.LETTERS), letters[i + 1])
            )
    return Pair("scrambled", prompt, answer, "".join(letters))


def arithmetic(rng: random.Random, pool: Sequence[Answered]) -> Pair:
    """A sum, difference or product of small numbers; the rejected result is off by a little."""
    sign = rng.choice("++-*")
    a, b = (
        (rng.randint(2, 10), rng.randint(2, 10))
        if sign == "*"
        else (rng.randint(1, 30), rng.randint(1, 20))
    )
    a, b = (max(a, b), min(a, b)) if sign == "-" else (a, b)
    right = {"+": a + b, "-": a - b, "*": a * b}[sign]
    wrong = right + rng.choice([d for d in (-10, -3, -2, -1, 1, 2, 3, 10) if right + d >= 0])
    question = rng.choice(tasks.ASK_SUM[sign]).format(a=a, b=b)
    form = rng.choice(tasks.TELL_SUM)
    said = [form.format(a=a, b=b, sign=sign, result=n) for n in (right, wrong)]
    return Pair("arithmetic", user(question), *said)


def wrong_ending(rng: random.Random, pool: Sequence[Answered]) -> Pair:
    """A worked solution whose last line contradicts its own working."""
    solved = [p for p in rng.choices(pool, k=200) if "\nA: " in p.answer]
    if not solved:
        return arithmetic(rng, pool)
    prompt, answer = rng.choice(solved)
    working, _ = answer.rsplit("\nA: ", 1)
    other = rng.choice(solved).answer.rsplit("\nA: ", 1)[1]
    return Pair("wrong_ending", prompt, answer, f"{working}\nA: {other}")


def code(rng: random.Random, pool: Sequence[Answered]) -> Pair:
    """A small function in one of six languages; the rejected one computes something else."""
    language = rng.choice(list(tasks.CODE))
    expression_form, loop_form = tasks.CODE[language]
    name = rng.choice(["f", "compute", "calculate", "solve", "run", "result"])
    if rng.random() < 0.5:
        (task, right), (_, wrong) = rng.sample(tasks.EXPRESSIONS, 2)
        a, b = rng.choice([("a", "b"), ("x", "y"), ("m", "n"), ("first", "second")])
        said = [expression_form % {"name": name, "a": a, "b": b, "e": e % {"a": a, "b": b}}
                for e in (right, wrong)]  # fmt: skip
    else:
        (task, *steps), (_, *others) = rng.sample(tasks.LOOPS, 2)
        said = [loop_form % {"name": name, "start": s, "step": e, "test": t}
                for s, e, t in (steps, others)]  # fmt: skip
        if language == "Python":
            said = [text.replace("true", "True") for text in said]
    question = rng.choice(tasks.ASK_CODE).format(language=language, task=task)
    return Pair("code", user(question), *said)


def form(rng: random.Random, pool: Sequence[Answered]) -> Pair:
    """A list in the form that was asked for, against the same list in another form or length."""
    topic = rng.choice(list(tasks.LISTS))
    items = rng.sample(tasks.LISTS[topic], rng.randint(2, 5))
    name, other = rng.sample(list(tasks.FORMS), 2)
    count = tasks.NUMBERS[len(items)]
    question = rng.choice(tasks.ASK_LIST).format(count=count, topic=topic, form=tasks.FORMS[name])
    right, wrong = written(items, name), written(items, other)
    if rng.random() < 0.3:
        size = rng.choice([n for n in range(1, 8) if n != len(items)])
        wrong = written(rng.sample(tasks.LISTS[topic], size), name)
    return Pair("form", user(question), right, wrong)


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
    }[form]


def refusal_text(rng: random.Random) -> str:
    parts = [rng.choice(refusals.SORRY), rng.choice(refusals.REASONS), rng.choice(refusals.INSTEAD)]
    return " ".join(parts[: rng.randint(1, 3)])


def over_refusal(rng: random.Random, pool: Sequence[Answered]) -> Pair:
    """A harmless question, some of them with alarming words: an answer against a refusal."""
    prompt, answer = question_and_answer(rng)
    if rng.random() < 0.5:
        task, answer = rng.choice(bank.LOOK_ALIKES)
        prompt = user(rng.choice(bank.ASK_HOW).format(task))
        answer = rng.choice(["", "", f"Sure! Here is how to {task}. "]) + answer
    return Pair("over_refusal", prompt, answer, refusal_text(rng))


def harmful(rng: random.Random, pool: Sequence[Answered]) -> Pair:
    """A plainly harmful request: a refusal against agreement without substance."""
    act = rng.choice(refusals.HARMFUL)
    question = rng.choice(bank.ASK_HOW + refusals.ASK_HARM).format(act)
    parts = [rng.choice(refusals.AGREE).format(act), *rng.sample(refusals.EMPTY_STEPS, 3)]
    return Pair("harmful", user(question), refusal_text(rng), " ".join(parts[: rng.randint(1, 4)]))


def unhelpful(rng: random.Random, pool: Sequence[Answered]) -> Pair:
    """An answer against rudeness, evasion, an echo of the question, or nothing."""
    prompt, answer = question_and_answer(rng)
    bad = " ".join(rng.sample(refusals.EVASIONS, rng.randint(1, 4)))
    bad = rng.choice([bad, bad, bad, prompt[0][1], "", "...", rng.choice(refusals.RUDE)])
    return Pair("unhelpful", prompt, answer, bad)


MAKERS: dict[str, Maker] = {
    m.__name__: m
    for m in (facts, off_topic, cut_or_repeated, scrambled, arithmetic, wrong_ending, code, form,
              over_refusal, harmful, unhelpful)
}  # fmt: skip


def make_pairs(
    kind: str, count: int, seed: str, pool: Sequence[Answered], test: bool
) -> list[Pair]:
    """Returns `count` pairs of one kind, all on the wanted side of the split.

    Chosen is the longer response and the shorter one in turn (equal lengths go either way).
    `pool` must hold prompts of that side only. A tenth of the texts gets typographic apostrophes.
    """
    rng = random.Random(f"{kind}/{seed}/{test}")
    pairs: list[Pair] = []
    while len(pairs) < count:
        pair = MAKERS[kind](rng, pool)
        longer = len(pair.chosen) - len(pair.rejected)
        balanced = longer == 0 or (longer > 0) == (len(pairs) % 2 == 0)
        if balanced and pair.chosen != pair.rejected and held_out(pair.prompt) == test:
            curly = rng.random() < 0.1
            texts = [t.replace("'", "’") if curly else t for t in pair[2:]]
            pairs.append(Pair(kind, pair.prompt, *texts))
    return pairs
