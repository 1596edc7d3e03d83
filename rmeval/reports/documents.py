"""Whole pages, all of one template, one style and scripts that a person can read.

A page fetches nothing: its style, its data and its script stand in it, so it opens from a disk, in
any folder of any host, and can be sent. Its policy (CSP) allows its own script by hash, and no
connection. Without JavaScript its tables are still there.
"""

import base64
import hashlib
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from rmeval.errors import one_line

if TYPE_CHECKING:
    from jinja2 import Environment


def render_page(template: str, scripts: Sequence[str] = (), **values: Any) -> str:
    """Returns a page, made of a template of `rmeval/data/pages` that extends base.html.j2.

    `scripts` are files beside it, which run as one, in this order. Texts among the values are
    escaped; the filter `line` shows what no reader could see in them.
    """
    from rmeval import __version__

    script = "\n".join(_asset(name) for name in scripts)
    return (
        _environment()
        .get_template(template)
        .render(
            version=__version__,
            style=Markup(_asset("style.css")),
            script=Markup(script),
            script_sha256=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
            **values,
        )
    )


def render_fragment(template: str, **values: Any) -> str:
    """Returns what a template makes without document, style and script, for a page of others."""
    return _environment().get_template(template).render(**values)


@cache
def _environment() -> "Environment":
    from jinja2 import Environment, FunctionLoader

    made = Environment(
        loader=FunctionLoader(_asset), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    made.filters["line"] = lambda text: one_line(text) if type(text) is str else text
    return made


@cache
def _asset(name: str) -> str:
    return (files("rmeval") / "data" / "pages" / name).read_text(encoding="utf-8")
