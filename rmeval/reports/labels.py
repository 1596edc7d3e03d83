"""What metrics are called where people read them."""

from rmeval.errors import one_line


def metric_label(metric: str) -> str:
    """Returns a metric's name for people.

    A subset with levels or groups in its name says that it is one, since sections may have the
    same (RM-Bench's `chat/hard`). GitHub runs a printed line that begins with two colons.
    """
    kind, _, name = metric.partition("/")
    if kind == "overall":
        return f"Score {name}".rstrip()
    told = " (subset)" if kind == "subset" and "/" in name else ""
    return one_line(name).replace("::", ": :") + told
