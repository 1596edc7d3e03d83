"""What a reader should know of a result that was made of verdicts: how many, of which kinds."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from rmeval.benchmarks import scheme_of
from rmeval.errors import one_line
from rmeval.judging.formats import LISTWISE
from rmeval.judging.settling import VOTES
from rmeval.metrics.scheme import Tally, Tie
from rmeval.records import Result, ScoredPreference
from rmeval.reports.labels import is_judged
from rmeval.results.standings import unread_note

UNSURE = 0.5  # of an answer being a label, below which the judge was not made for the format


def is_generative(result: Result) -> bool:
    """Whether a language model was asked in words."""
    return "account" in result.provenance


def is_listwise(result: Result) -> bool:
    """Whether all responses of a row were shown at once."""
    asked = result.provenance["model"].get("prompt")
    return isinstance(asked, dict) and asked.get("kind") == LISTWISE


def better_ways(results: Sequence[Result]) -> list[str]:
    """Returns a line for each benchmark on which a judge was asked in several ways: the best.

    Leaderboards that take the better of two ways, as RewardBench 2's may, say so; this does.
    """
    lines = []
    for name in dict.fromkeys(result.benchmark for result in results):
        ways = [r for r in results if r.benchmark == name and r.overall is not None]
        if len(ways) > 1:
            best = max(ways, key=lambda result: result.overall or 0.0)
            told = ", ".join(f"{_way(r)} {100 * (r.overall or 0.0):.1f}" for r in ways)
            lines.append(
                f"{name}, asked in {len(ways)} ways: {told}; the better is {_way(best)}. Taken "
                "for the judge's Score, it would be chosen after the fact: say so with it"
            )
    return lines


def _way(result: Result) -> str:
    return str(result.provenance["model"]["prompt"]["name"])


def _votes(result: Result) -> Iterator[str]:
    """Yields a line on samples: how many, and the Score by either vote on them."""
    votes = result.provenance["model"].get("votes")
    if not isinstance(votes, dict):
        return
    told = []
    for place, name in enumerate(VOTES):
        if all(len(score.objectives) > place for row in result.scored for score in row.scores):
            value = scheme_of(result.definition).metrics(
                _by_objective(result, place), result.weighting
            )
            overall = value.values.get("overall")
            told.append(f"{name} {'not available' if overall is None else f'{100 * overall:.1f}'}")
    yield (
        f"{votes['samples']} samples of each answer, one verdict by {votes['by']}; the Score by "
        f"{', by '.join(told)}; a row with its samples is one row to every interval"
    )


def _by_objective(result: Result, place: int) -> list[ScoredPreference]:
    """Returns the rows with another number in place of the score."""
    return [
        replace(row, scores=tuple(s._replace(value=s.objectives[place]) for s in row.scores))
        for row in result.scored
    ]


def tie_counts_as(result: Result, tally: Tally) -> str:
    """Returns what a tied row counts, in words; of several ways that of the first subset."""
    if tally.ties()[0] is Tie.SHARED:
        return "a win is shared"
    return "each half a win" if is_judged(result) else "counted as losses"


def judged_notes(result: Result) -> Iterator[str]:
    """Yields a line on the verdicts that the scores were made of, and one on what they took."""
    counts = result.metrics.counts
    if "ratings" in counts:
        yield _ratings(counts)
    if "verdicts" in counts:
        yield _verdicts(counts, result) + _expected_first(result) + _disagreement(result)
        if any(len(item.scores) > 2 for item in result.scored) and not is_listwise(result):
            yield "more than two responses: each one's mean chance of beating the others"
    yield from _votes(result)
    yield from unread_note(counts)
    account = result.provenance.get("account")
    if account:
        yield _account(account)


def judged_by(provenance: Mapping[str, Any]) -> str:
    """Returns in a line who was asked, and how."""
    model, engine = provenance["model"], provenance["engine"]
    order = {
        "both": ", both orders",
        "random": f", random order, seed {model.get('seed')}",
        "latin": f", in a Latin square of orders, seed {model.get('seed')}",
    }
    shown = order[model["order"]] if "order" in model else ""
    return (
        f"asked with the prompt format {model['prompt']['name']}{shown}, temperature "
        f"{model['temperature']:g}, up to {model['max_new_tokens']:,} new tokens; "
        f"{engine['path']} {_where(provenance)}, {provenance['seconds']:.1f} s; lengths in "
        f"{model['lengths']}"
    )


def _where(provenance: Mapping[str, Any]) -> str:
    """Returns who gave the answers: those that were kept may be from another address."""
    servers = provenance["account"].get("servers")
    return ", ".join(servers) if servers else str(provenance["engine"]["device"])


def _verdicts(counts: Mapping[str, int], result: Result) -> str:
    made, tied, unparsed = (
        counts[name] for name in ("verdicts", "verdicts_tied", "verdicts_unparsed")
    )
    decided = made - tied - unparsed
    share = ""
    if decided:
        first = 100 * counts["verdicts_for_first"] / decided
        share = f"; of the others {first:.1f} % for the response shown first"
    worth = "an even share" if is_listwise(result) else "half a win"
    return f"verdicts: {made:,}; ties {tied:,}, unparsable {unparsed:,} (each {worth}){share}"


def _ratings(counts: Mapping[str, int]) -> str:
    return (
        f"ratings: {counts['ratings']:,}; unparsable {counts['ratings_unparsed']:,} (rated as the "
        "others of their row are on average)"
    )


def _expected_first(result: Result) -> str:
    """Returns which share of verdicts for the first response a judge without bias would give."""
    sizes = {len(row.scores) for row in result.scored if row.comparisons and row.comparisons.first}
    if not is_listwise(result) or len(sizes) != 1:
        return ""
    return f" ({100 / sizes.pop():.1f} % would be even)"


def _disagreement(result: Result) -> str:
    """Returns in how many pairs that were shown in both orders the place decided, not the text."""
    model = result.provenance["model"]
    if "votes" in model or is_listwise(result):
        return ""
    both = [
        item.comparisons
        for item in result.scored
        if item.comparisons is not None and item.comparisons.made == 2
    ]
    if not both:
        return ""
    by_place = sum(c.first != 1 and not c.tied and not c.unparsed for c in both)
    return f"; in {by_place:,} of {len(both):,} pairs the place decided in both orders"


def sampling_notes(account: Mapping[str, Any]) -> Iterator[str]:
    """Yields what was found out about a server that was asked for samples."""
    sampled, alike = account.get("sampled", 0), account.get("alike", 0)
    if sampled and alike == sampled:
        yield (
            f"the samples of all {sampled:,} questions are equal: the server ignores temperature "
            "or seed, and they are worth one"
        )
    elif alike:
        yield f"the samples of {alike:,} in {sampled:,} questions are equal"
    if (chance := account.get("label_probability")) is not None:
        low = ": it would rather say something else" if chance < UNSURE else ""
        yield f"its answer is one of the labels with probability {chance:.3f} on average{low}"
    if account.get("repeats") is False:
        yield "the server does not obey the seed: asked again, it gave another answer"


def _account(account: Mapping[str, Any]) -> str:
    tokens = (account["prompt_tokens"], account["completion_tokens"])
    known = [None if count is None else f"{count:,}" for count in tokens]
    took = (
        "tokens not counted by the server"
        if None in known
        else "{} tokens in, {} out".format(*known)
    )
    parts = [f"answers: {account['answers']:,} ({account['kept_before']:,} kept from before)", took]
    if account["refused"]:
        why = one_line(str(account["refused_because"]))
        parts.append(f"{account['refused']:,} refused, the first: {why}")
    if account["cut"]:
        parts.append(f"{account['cut']:,} cut at the limit of new tokens")
    if account.get("closing_tags_alone"):
        parts.append(
            f"{account['closing_tags_alone']:,} with </think> and no <think> before it, read whole "
            "unless the prompt format says `thinks = true`"
        )
    parts += sampling_notes(account)
    if "usd" in account:
        usd = account["usd"]
        parts.append("cost not known" if usd is None else f"cost {usd:.4f} USD")
    return ", ".join(parts)
