"""HTTP to an engine: one request, one answer, and each way in which that fails as one line."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from rmeval.conversations import HALF_PAIR
from rmeval.errors import BadOption, ServerFailure, first_line, one_line
from rmeval.llm.address import (
    MESSAGE_LETTERS,
    MOVED,
    check_url,
    plain_url,
    read_key,
    require_private,
    without_key,
)
from rmeval.llm.endpoint import RequestRefused, seconds_of

KEY = "RMEVAL_API_KEY"
SECONDS = 300.0  # without a byte of an answer
CONNECTING = 10.0  # seconds
MOST_BYTES = 256 << 20  # of an answer
LONGEST_WORD = 300.0  # seconds that a Retry-After may ask for
TOO_LARGE, TOO_MUCH, REFUSED, KEYLESS, MISSING = 413, (429, 503), (400, 422), (401, 403), 404
PASSING = (408, 500, 502, 504, 529)  # statuses that may be gone at the next try


class Unserved(ServerFailure):
    """What the engine, as it was started, does not serve."""


class Passing(ServerFailure):
    """A failure that may be gone after some `seconds`; `broken`: the connection was lost."""

    def __init__(self, message: str, seconds: float = 0.0, *, broken: bool = False) -> None:
        super().__init__(message)
        self.seconds, self.broken = seconds, broken


class TooMuch(Passing):
    """A request for which there is no room now; with `always`, never: it must be smaller."""

    def __init__(self, message: str, seconds: float = 0.0, *, always: bool = False) -> None:
        super().__init__(message, seconds)
        self.always = always


class Connection:
    """One server. The key comes from the environment (RMEVAL_API_KEY) and stands in no message.

    To be used and closed in one event loop.
    """

    def __init__(self, url: str, *, seconds: float = SECONDS, key_over_http: bool = False) -> None:
        """Sends nothing yet. Raises BadOption for no URL, and for a key in the clear."""
        check_url(url, KEY)
        try:
            import httpx2
        except ImportError as error:
            raise BadOption("an engine needs the client: pip install 'rmeval[server]'") from error
        self.url, self._seconds = plain_url(url), seconds
        self._key = read_key(KEY)
        if self._key is not None and not key_over_http:
            require_private(url, KEY)
        self._errors = (httpx2.HTTPError, httpx2.InvalidURL)
        try:
            self._client = httpx2.AsyncClient(
                headers={"Authorization": f"Bearer {self._key}"} if self._key else None,
                timeout=httpx2.Timeout(seconds, connect=min(seconds, CONNECTING)),
                limits=httpx2.Limits(max_connections=None),
                follow_redirects=False,
            )
        except (OSError, ValueError) as error:  # certificates and proxies of the environment
            raise BadOption(f"the client cannot start ({first_line(error)})") from error

    async def close(self) -> None:
        """Closes the connections."""
        await self._client.aclose()

    async def get(self, path: str) -> Any:
        """Returns the JSON at a path; None where the server has no such path."""
        try:
            return await self._send("GET", path, None)
        except Unserved:
            return None

    async def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """Returns the JSON that answers a request.

        Raises Unserved (404), RequestRefused (400, 422), TooMuch (413, 429, 503), Passing, and
        ServerFailure for what will not change.
        """
        return await self._send("POST", path, json.dumps(body).encode())

    def failure(self, said: str) -> str:
        """Returns a message of this server's, on one line, without the key it may repeat."""
        clean = HALF_PAIR.sub("\N{REPLACEMENT CHARACTER}", without_key(said, self._key))
        return f"{self.url}: {one_line(clean)[:MESSAGE_LETTERS]}"

    async def _send(self, method: str, path: str, content: bytes | None) -> Any:
        headers = {"Content-Type": "application/json"} if content is not None else None
        try:
            async with (
                asyncio.timeout(2 * self._seconds),  # the client bounds a silence, not an answer
                self._client.stream(
                    method, self.url + path, content=content, headers=headers
                ) as answer,
            ):
                body = await self._body(answer)
                return self._judged(path, answer.status_code, answer.headers, body)
        except TimeoutError:
            raise Passing(
                self.failure(f"{path}: no whole answer in {2 * self._seconds:g} s")
            ) from None
        except self._errors as error:
            said = f"{path}: {type(error).__name__} ({first_line(error)})"
            raise Passing(self.failure(said), broken=True) from None

    async def _body(self, answer: Any) -> bytes:
        body = bytearray()
        async for part in answer.aiter_bytes():
            body += part
            if len(body) > MOST_BYTES:
                raise ServerFailure(self.failure(f"an answer of more than {MOST_BYTES >> 20} MiB"))
        return bytes(body)

    def _judged(self, path: str, status: int, headers: Mapping[str, str], body: bytes) -> Any:
        """Returns an answer's JSON, or raises what its status means."""
        if 200 <= status < 300:
            return self._json(path, headers, body)
        said = self.failure(f"{path}: {status} {_message(body)}".rstrip())
        if 300 <= status < 400:
            raise ServerFailure(
                self.failure(f"{path}: redirected to {headers.get('location', 'nowhere')}{MOVED}")
            )
        if status == MISSING:
            raise Unserved(said)
        if status in KEYLESS:
            raise ServerFailure(f"{said}; put the server's key in {KEY}")
        if status in REFUSED:
            raise RequestRefused(said)
        if status == TOO_LARGE or status in TOO_MUCH:
            wait = min(seconds_of(headers.get("retry-after", "")) or 0.0, LONGEST_WORD)
            raise TooMuch(said, wait, always=status == TOO_LARGE)
        raise Passing(said) if status in PASSING else ServerFailure(said)

    def _json(self, path: str, headers: Mapping[str, str], body: bytes) -> Any:
        try:
            return json.loads(body)
        except (ValueError, RecursionError):
            kind = headers.get("content-type", "no type").partition(";")[0]
            raise ServerFailure(
                self.failure(
                    f"{path}: answers with {kind}, not JSON; is this the engine's address?"
                )
            ) from None


def _message(body: bytes) -> str:
    """Returns what a server says of its error: each kind in its own way."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return ""  # HTML, or nothing
    for name in ("error", "message", "detail"):
        if isinstance(found, dict):
            found = found.get(name, found)
    return found if isinstance(found, str) else json.dumps(found)
