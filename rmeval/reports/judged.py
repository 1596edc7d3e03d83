"""What a reader should know of a result that was made of verdicts: how many, of which kinds."""

from collections.abc import Iterator, Mapping
from typing import Any

from rmeval.errors import one_line
from rmeval.metrics.scheme import Tally, Tie
from rmeval.records import Result
from rmeval.reports.labels import is_judged
from rmeval.results.standings import unread_note


def is_generative(result: Result) -> bool:
    """Whether a language model was asked in words."""
    return "account" in result.provenance


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
        yield _verdicts(counts) + _disagreement(result)
        if any(len(item.scores) > 2 for item in result.scored):
            yield "more than two responses: each one's mean chance of beating the others"
    yield from unread_note(counts)
    account = result.provenance.get("account")
    if account:
        yield _account(account)


def judged_by(provenance: Mapping[str, Any]) -> str:
    """Returns in a line who was asked, and how."""
    model, engine = provenance["model"], provenance["engine"]
    order = {"both": ", both orders", "random": f", random order, seed {model.get('seed')}"}
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


def _verdicts(counts: Mapping[str, int]) -> str:
    made, tied, unparsed = (
        counts[name] for name in ("verdicts", "verdicts_tied", "verdicts_unparsed")
    )
    decided = made - tied - unparsed
    share = ""
    if decided:
        first = 100 * counts["verdicts_for_first"] / decided
        share = f"; of the others {first:.1f} % for the response shown first"
    return f"verdicts: {made:,}; ties {tied:,}, unparsable {unparsed:,} (each half a win){share}"


def _ratings(counts: Mapping[str, int]) -> str:
    return (
        f"ratings: {counts['ratings']:,}; unparsable {counts['ratings_unparsed']:,} (rated as the "
        "others of their row are on average)"
    )


def _disagreement(result: Result) -> str:
    """Returns in how many pairs that were shown in both orders the place decided, not the text."""
    both = [
        item.comparisons
        for item in result.scored
        if item.comparisons is not None and item.comparisons.made == 2
    ]
    if not both:
        return ""
    by_place = sum(c.first != 1 and not c.tied and not c.unparsed for c in both)
    return f"; in {by_place:,} of {len(both):,} pairs the place decided in both orders"


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
    if "usd" in account:
        usd = account["usd"]
        parts.append("cost not known" if usd is None else f"cost {usd:.4f} USD")
    return ", ".join(parts)
