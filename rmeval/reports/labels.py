"""What metrics are called where people read them."""

from rmeval.errors import one_line
from rmeval.metrics.names import Metric
from rmeval.records import Interval, Metrics, Result


def metric_label(metric: str) -> str:
    """Returns a metric's name for people.

    A subset with levels or groups in its name says that it is one, since sections may have the
    same (RM-Bench's `chat/hard`). GitHub runs a printed line that begins with two colons.
    """
    name = Metric(metric)
    told = " (subset)" if name.kind == "subset" and "/" in name.rest else ""
    return one_line(name.column).replace("::", ": :") + told


def shown_metric(metrics: Metrics, name: str) -> str:
    """Returns a metric in percent with its interval, or that there is none.

    "92.8 (91.6 to 93.8)": half a width would read as if an interval at 0 or 100 went beyond it.
    """
    value, interval = metrics.values.get(name), metrics.intervals.get(name)
    if value is None:
        return "not available"
    return f"{100 * value:.1f}" + (f" ({shown_interval(interval)})" if interval else "")


def shown_interval(interval: Interval) -> str:
    """Returns an interval in percent, "91.6 to 93.8"."""
    return f"{100 * interval.low:.1f} to {100 * interval.high:.1f}"


def is_judged(result: Result) -> bool:
    """Whether its scores were made of verdicts or ratings, so that a tie is half a win."""
    return any(item.comparisons is not None for item in result.scored)


def score_word(result: Result) -> str:
    """Returns what the scores of a result are."""
    if "ratings" in result.metrics.counts:
        return "rating"
    return "chance of beating the others" if "verdicts" in result.metrics.counts else "reward"
