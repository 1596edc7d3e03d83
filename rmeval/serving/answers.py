"""Answers as JSON, and what becomes of an error: a status, and one line that says what to do."""

import json
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from rmeval.errors import (
    BadData,
    BadOption,
    RmevalError,
    ServerFailure,
    brief,
    one_line,
)
from rmeval.serving.protocols import UnknownModel
from rmeval.serving.queue import Overloaded

LINGER = 2**28  # bytes
KINDS = {500: "server_error", 502: "server_error", 503: "overloaded"}
STATUSES: Mapping[type[RmevalError], int] = {
    Overloaded: 503,
    UnknownModel: 404,
    BadData: 400,
    BadOption: 400,
    ServerFailure: 502,
}


def json_response(content: Any, status: int = 200, headers: Any = None) -> Response:
    """Returns JSON, in which there is no NaN."""
    body = json.dumps(content, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    return Response(body.encode(), status, headers, "application/json")


def error_response(status: int, message: str, headers: Mapping[str, str] | None = None) -> Response:
    """Returns an error in the shape that OpenAI's and vLLM's clients read."""
    kind = KINDS.get(status, "invalid_request_error")
    error = {"message": one_line(brief(message)), "type": kind, "param": None, "code": status}
    return json_response({"error": error}, status, headers)


def answer_to(error: RmevalError) -> Response:
    """Returns what a client is told of an error: 400 for what will never work as it was sent."""
    status = next((code for kind, code in STATUSES.items() if isinstance(error, kind)), 500)
    headers = {"retry-after": str(error.seconds)} if isinstance(error, Overloaded) else None
    return error_response(status, str(error), headers)


class TooLarge:
    """Says 413 at once, and then reads what is still sent, up to `LINGER` bytes, and forgets it.

    Most clients read no answer before they have sent all; closed before that, they see an error of
    the connection, and try again.
    """

    status_code = 413

    def __init__(self, most_mib: int) -> None:
        told = f"the body has more than the {most_mib} MiB that are read"
        self._response = error_response(413, told, {"connection": "close"})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers."""
        start = {"type": "http.response.start", "status": 413}
        await send({**start, "headers": self._response.raw_headers})
        body = {"type": "http.response.body", "more_body": True}
        await send({**body, "body": self._response.body})
        read, more = 0, True
        while more and read <= LINGER:
            message = await receive()
            read += len(message.get("body", b""))
            more = message.get("more_body", False)
        await send({"type": "http.response.body", "body": b""})
