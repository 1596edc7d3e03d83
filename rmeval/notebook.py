"""What a notebook shows while it waits."""

import sys
import time
from html import escape

from rmeval.records import OnProgress, Progress

SECONDS = 0.2  # between two pictures of the bar


def notebook_progress() -> OnProgress | None:
    """Returns what draws progress as a bar below a notebook's cell, or None outside of one."""
    shell = sys.modules.get("IPython")
    running = shell.get_ipython() if shell else None
    if running is None or not hasattr(running, "kernel"):
        return None
    from IPython.display import HTML, display

    shown = display(HTML(""), display_id=True)
    last = 0.0

    def report(now: Progress) -> None:
        nonlocal last
        if time.monotonic() - last >= SECONDS or now.computed >= now.to_compute:
            last = time.monotonic()
            shown.update(HTML(progress_bar(now)))

    return report


def progress_bar(now: Progress) -> str:
    """Returns where a run stands, as HTML."""
    told = f"{now.computed:,} of {now.to_compute:,} {now.unit}"
    kept = f", {now.kept:,} kept by an earlier run" if now.kept else ""
    bar = f'<progress value="{now.computed}" max="{max(now.to_compute, 1)}"></progress>'
    return f"{bar} {escape(told + kept)}"
