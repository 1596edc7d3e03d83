"""From a name to a judge: of a server, or of a language model on this machine."""

from dataclasses import dataclass

from rmeval.duels import JUDGE
from rmeval.errors import BadOption, UnknownName
from rmeval.judging.answers import Answers, LocalAnswers, ServerAnswers
from rmeval.judging.budget import Budget, Price
from rmeval.judging.format_files import read_criteria, read_format, shipped_formats
from rmeval.judging.formats import PromptFormat
from rmeval.judging.judge import GenerativeJudge
from rmeval.judging.questions import JUDGE_ORDERS, USUAL_ORDER, Manner, require_order
from rmeval.judging.settling import MEAN, VOTES
from rmeval.llm.endpoint import SECONDS

CONCURRENCY, BATCH = 8, 16


@dataclass(frozen=True, slots=True)
class Asking:
    """How a judge is asked: a prompt format by name or file, in which manner, and how often.

    `order` is one of JUDGE_ORDERS, None the usual one of the format; None is also its own
    temperature or number of tokens. `criteria` is a file of them in place of the format's own.
    Without a price no cost.
    """

    prompt: str
    order: str | None = None
    seed: int = 0
    temperature: float | None = None
    max_new_tokens: int | None = None
    samples: int = 1
    vote: str = MEAN
    criteria: str | None = None
    price: Price | None = None


@dataclass(frozen=True, slots=True)
class Answering:
    """Who answers: a server at `endpoint`, `concurrency` calls at once, or a model here."""

    endpoint: str | None = None
    concurrency: int = CONCURRENCY
    seconds: float = SECONDS
    key_over_http: bool = False
    revision: str | None = None
    dtype: str = "auto"
    device: str = "auto"
    date: str | None = None
    batch: int = BATCH
    budget: Budget | None = None


def load_judge(
    name: str,
    *,
    endpoint: str | None = None,
    prompt: str = "rewardbench",
    order: str | None = None,
    seed: int = 0,
    samples: int = 1,
    vote: str = MEAN,
    temperature: float | None = None,
    criteria: str | None = None,
    revision: str | None = None,
    dtype: str = "auto",
    device: str = "auto",
    key_over_http: bool = False,
) -> GenerativeJudge:
    """Returns a language model as a judge, to `evaluate`, or to `compare` two responses.

    Args:
        name: what the server calls the model; without a server, a folder or a name on the Hub.
        endpoint: the address of an OpenAI-compatible server, such as http://…/v1; its key comes
            from OPENAI_API_KEY, which goes to https or this machine only, unless `key_over_http`.
        prompt: a prompt format's name, see `rmeval list judges`, or a FILE.toml.
        order: "both" shows two responses in both orders, "random" in one that `seed` decides;
            several at once are shown in a random one, or in a "latin" square of orders.
        samples: how often each question is asked, at a `temperature` above 0; the score is the
            "mean" of their verdicts, or the `vote` of the "majority".
        criteria: a FILE.toml of what to judge by, for a format that asks for it.
        revision: of a model on the Hub; `dtype` and `device` are those of `load_model`.

    Raises:
        RmevalError: one of its kinds, each with what to do.
    """
    name = judge_name(name)
    how = Answering(
        endpoint=endpoint,
        revision=revision,
        dtype=dtype,
        device=device,
        key_over_http=key_over_http,
    )
    asking = Asking(
        prompt,
        order=order,
        seed=seed,
        temperature=temperature,
        samples=samples,
        vote=vote,
        criteria=criteria,
    )
    return make_judge(name, open_answers(name, how), asking, revision)


def judge_name(name: str) -> str:
    """Returns a judge's name without "judge:". Raises BadOption for nothing."""
    name = name.removeprefix(JUDGE)
    if not name.strip():
        raise BadOption(f"{JUDGE} names no judge; pass {JUDGE}NAME")
    return name


def open_answers(name: str, how: Answering) -> Answers:
    """Returns who answers under a name. Raises BadOption or BadCheckpoint."""
    if how.endpoint is not None:
        return ServerAnswers(
            how.endpoint, name, how.concurrency, how.seconds, how.key_over_http, how.budget
        )
    return open_local(name, how)


def open_local(name: str, how: Answering) -> LocalAnswers:
    """Opens a causal language model, all but its weights. Raises BadCheckpoint."""
    from rmeval.llm.generator import LocalGenerator

    generator = LocalGenerator(
        name,
        revision=how.revision,
        dtype=how.dtype,
        device=how.device,
        date=how.date,
        batch=how.batch,
        options=("judge", "`batch=`"),
    )
    return LocalAnswers(generator, name, how.revision)


def make_judge(
    name: str, answers: Answers, asking: Asking, revision: str | None = None
) -> GenerativeJudge:
    """Returns the judge. Raises UnknownName or BadOption for a format or a manner that is none."""
    for what, value, known in (
        ("order", asking.order, (None, *JUDGE_ORDERS)),
        ("vote", asking.vote, VOTES),
    ):
        if value not in known:
            raise UnknownName(what, str(value), [one for one in known if one])
    asked = read_format(asking.prompt)
    require_order(asking.order, asked)
    if asking.criteria is not None:
        asked = read_criteria(asking.criteria, asked)
    manner = Manner(
        asking.order, asking.seed, asking.samples, asking.temperature, asking.max_new_tokens
    )
    _require_samples(manner, asked)
    return GenerativeJudge(
        name=f"{JUDGE}{name}",
        answers=answers,
        prompt_format=asked,
        manner=manner,
        vote=asking.vote,
        price=asking.price,
        revision_asked=revision,
        variant=_variant(asked, asking),
    )


def _require_samples(manner: Manner, asked: PromptFormat) -> None:
    """Raises BadOption for several samples that would all be one answer."""
    if manner.samples < 1:
        raise BadOption(f"samples {manner.samples}: at least one is needed")
    if manner.samples > 1 and not manner.sampling(asked).temperature:
        raise BadOption(
            f"{manner.samples} samples at temperature 0 would be one answer {manner.samples} "
            "times; pass a temperature above 0"
        )


def _variant(asked: PromptFormat, asking: Asking) -> str:
    """Returns how the judge is asked, in as few words as tell it from other ways."""
    usual = USUAL_ORDER.get(asked.kind)
    order = asking.order or usual
    shuffled = order is not None and order != "both"
    seeded = f"-{asking.seed}" if asking.seed or order != usual else ""
    random = f"{order}{seeded}" if shuffled and (order != usual or seeded) else None
    warm = asking.temperature is not None and asking.temperature != asked.temperature
    heat = f"t{asking.temperature:g}" if warm else None
    drawn = asked.temperature if asking.temperature is None else asking.temperature
    seed = f"seed-{asking.seed}" if drawn > 0 and asking.seed and random is None else None
    other = asking.max_new_tokens not in (None, asked.max_new_tokens)
    limit = f"n{asking.max_new_tokens}" if other else None
    votes = None
    if asking.samples > 1:
        votes = f"{asking.samples}-samples" + ("" if asking.vote == MEAN else f"-{asking.vote}")
    return "-".join(filter(None, [_label(asked), random, heat, seed, limit, votes]))


def _label(asked: PromptFormat) -> str:
    """Returns a format's name; one that is not rmeval's own is told by its contents too."""
    shipped = shipped_formats().get(asked.name)
    ours = shipped is not None and shipped.sha256 == asked.sha256
    return asked.name if ours else f"{asked.name}-{asked.sha256[:8]}"
