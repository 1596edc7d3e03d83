"""Where a server is, and the key that it wants: what may be sent there, and what stands nowhere."""

import os
from ipaddress import ip_address
from urllib.parse import urlsplit

from rmeval.errors import BadOption, one_line

MESSAGE_LETTERS = 300  # characters of a server's own message
MOVED = "; redirects are not followed, since they may drop the question: pass that address"
KEY_LETTERS = 8  # characters from which a key is one, and no dummy such as "x"
PORTS = {"http": 80, "https": 443}


def check_url(url: str, variable: str) -> None:
    """Raises BadOption for a URL that leads nowhere, or that holds what no file may hold."""
    try:
        parts = urlsplit(url)
        known = parts.scheme in ("http", "https") and parts.hostname and (parts.port or 1)
    except ValueError:
        known = False
    if not known:
        raise BadOption("a server's URL is http:// or https://, a host, and a path such as /v1")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise BadOption(f"a server's URL has no user and no query here; put the key in {variable}")


def read_key(variable: str) -> str | None:
    """Returns the key in an environment variable. Raises BadOption for one no header can hold."""
    key = os.environ.get(variable, "").strip()
    if not key.isascii() or " " in key or not key.isprintable():
        raise BadOption(f"{variable} holds white space or other characters that no key has")
    return key or None


def require_private(url: str, variable: str) -> None:
    """Raises BadOption where anyone between here and a server could read the key."""
    if not _is_private(url):
        raise BadOption(
            f"{variable} would go over the network in the clear, to "
            f"{one_line(url)[:MESSAGE_LETTERS]}: use https://, unset it, or pass "
            "`key_over_http=True`"
        )


def without_key(text: str, key: str | None) -> str:
    """Returns what a server says without the key that it may repeat."""
    return text.replace(key, "…") if key and len(key) >= KEY_LETTERS else text


def plain_url(url: str) -> str:
    """Returns a server's URL in the one way of its many spellings that tells it from others."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    port = "" if parts.port in (None, PORTS.get(parts.scheme)) else f":{parts.port}"
    return f"{parts.scheme}://{host}{port}{parts.path.rstrip('/')}"


def _is_private(url: str) -> bool:
    """Whether nobody between here and a server can read what is sent."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    try:
        loopback = ip_address(host).is_loopback
    except ValueError:
        loopback = host == "localhost" or host.endswith(".localhost")
    return parts.scheme == "https" or loopback
