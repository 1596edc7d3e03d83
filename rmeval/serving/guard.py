"""What stands before every request: the key, and the headers that a page needs to be safe."""

import base64
import binascii
import hmac

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rmeval.serving.answers import error_response

OPEN = ("/health", "/ready", "/metrics")
SAFE = ((b"x-content-type-options", b"nosniff"), (b"cache-control", b"no-store"))


class Guard:
    """Lets through who has the key, where there is one, and whoever asks whether it lives.

    The key comes as `Authorization: Bearer KEY`, or as the password of a browser that opens the
    page. It is compared in a time that does not tell how much of it is right.
    """

    def __init__(self, app: ASGIApp, key: str | None) -> None:
        """Guards an app by a key, or by none."""
        self._app, self._key = app, None if key is None else key.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves a request, or refuses it with 401."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if self._key is not None and scope["path"] not in OPEN and not self._allows(scope):
            browser = scope["path"] == "/" and scope["method"] in ("GET", "HEAD")
            headers = {"www-authenticate": 'Basic realm="rmeval"' if browser else "Bearer"}
            refused = error_response(401, "Invalid API key", headers=headers)
            await refused(scope, receive, send)
            return

        async def send_safely(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *SAFE]
            await send(message)

        await self._app(scope, receive, send_safely)

    def _allows(self, scope: Scope) -> bool:
        given = dict(scope["headers"]).get(b"authorization", b"")
        scheme, _, secret = given.partition(b" ")
        if scheme.lower() == b"basic":
            try:
                secret = base64.b64decode(secret.strip(), validate=True).partition(b":")[2]
            except binascii.Error:
                return False
        elif scheme.lower() != b"bearer":
            return False
        assert self._key is not None
        return hmac.compare_digest(secret.strip(), self._key)
