"""The page at `/`: what is served, how it fares, and a form that scores one conversation."""

import base64
import hashlib
from functools import cache
from importlib.resources import files

from starlette.responses import Response

POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{script}'; "
    "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def page() -> Response:
    """Returns the page, which may run its own script alone and ask this server alone."""
    text, policy = _page()
    headers = {"content-security-policy": policy, "referrer-policy": "no-referrer"}
    return Response(text, headers=headers, media_type="text/html; charset=utf-8")


@cache
def _page() -> tuple[bytes, str]:
    """Returns the page, and its policy with the hash of its script."""

    text = (files("rmeval") / "data" / "serve" / "page.html").read_text(encoding="utf-8")
    script = text.partition("<script>")[2].partition("</script>")[0]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return text.encode(), POLICY.format(script=digest)
