"""From a name to a judge: of a server, or of a language model on this machine."""

from dataclasses import dataclass

from rmeval.duels import JUDGE, ORDERS
from rmeval.errors import BadOption, UnknownName
from rmeval.judging.answers import Answers, LocalAnswers, ServerAnswers
from rmeval.judging.format_files import read_format, shipped_formats
from rmeval.judging.formats import PromptFormat
from rmeval.judging.judge import GenerativeJudge
from rmeval.judging.record import Price
from rmeval.llm.endpoint import SECONDS
from rmeval.records import Sampling

CONCURRENCY, BATCH = 8, 16


@dataclass(frozen=True, slots=True)
class Asking:
    """How a judge is asked: a prompt format by name or file, the order of two responses, and seed.

    None is the prompt format's own temperature or number of tokens; without a price no cost.
    """

    prompt: str
    order: str = "both"
    seed: int = 0
    temperature: float | None = None
    max_new_tokens: int | None = None
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


def load_judge(
    name: str,
    *,
    endpoint: str | None = None,
    prompt: str = "rewardbench",
    order: str = "both",
    seed: int = 0,
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
        order: "both" shows two responses in both orders, "random" in one that `seed` decides.
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
    return make_judge(name, open_answers(name, how), Asking(prompt, order, seed), revision)


def judge_name(name: str) -> str:
    """Returns a judge's name without "judge:". Raises BadOption for nothing."""
    name = name.removeprefix(JUDGE)
    if not name.strip():
        raise BadOption(f"{JUDGE} names no judge; pass {JUDGE}NAME")
    return name


def open_answers(name: str, how: Answering) -> Answers:
    """Returns who answers under a name. Raises BadOption or BadCheckpoint."""
    if how.endpoint is not None:
        return ServerAnswers(how.endpoint, name, how.concurrency, how.seconds, how.key_over_http)
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
    """Returns the judge. Raises UnknownName or BadOption for a format or an order that is none."""
    if asking.order not in ORDERS:
        raise UnknownName("order", asking.order, ORDERS)
    asked = read_format(asking.prompt)
    tokens, temperature = asking.max_new_tokens, asking.temperature
    return GenerativeJudge(
        name=f"{JUDGE}{name}",
        answers=answers,
        prompt_format=asked,
        sampling=Sampling(
            n=1,
            temperature=asked.temperature if temperature is None else temperature,
            top_k=0,
            top_p=1.0,
            max_new_tokens=asked.max_new_tokens if tokens is None else tokens,
            seed=asking.seed,
        ),
        order=asking.order,
        price=asking.price,
        revision_asked=revision,
        variant=_variant(asked, asking),
    )


def _variant(asked: PromptFormat, asking: Asking) -> str:
    """Returns how the judge is asked, in as few words as tell it from other ways."""
    random = f"random-{asking.seed}" if asking.order != ORDERS[0] else None
    warm = asking.temperature is not None and asking.temperature != asked.temperature
    heat = f"t{asking.temperature:g}" if warm else None
    drawn = asked.temperature if asking.temperature is None else asking.temperature
    seed = f"seed-{asking.seed}" if drawn > 0 and asking.seed and random is None else None
    other = asking.max_new_tokens not in (None, asked.max_new_tokens)
    limit = f"n{asking.max_new_tokens}" if other else None
    return "-".join(filter(None, [_label(asked), random, heat, seed, limit]))


def _label(asked: PromptFormat) -> str:
    """Returns a format's name; one that is not rmeval's own is told by its contents too."""
    shipped = shipped_formats().get(asked.name)
    ours = shipped is not None and shipped.sha256 == asked.sha256
    return asked.name if ours else f"{asked.name}-{asked.sha256[:8]}"
