"""Text from an OpenAI-compatible server: hosted, vLLM, SGLang, llama.cpp."""

import asyncio
import os
from ipaddress import ip_address
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from rmeval.conversations import HALF_PAIR
from rmeval.errors import BadOption, ServerFailure, first_line, one_line
from rmeval.records import Conversation, tools_of

KEY, NO_KEY = "OPENAI_API_KEY", "none"  # the client insists on one
SECONDS, RETRIES = 300.0, 5  # of one call; after a failure, with growing pauses
THINKS = "<think>"  # what an answer begins with that is thinking first
MESSAGE_LETTERS = 300  # characters of a server's own message
CUT = ("length", "max_tokens", "model_length")  # how servers say that there was no room for more
FILTERED = "content_filter"
BROKEN = ("error", "abort", "insufficient_system_resource")  # ends of OpenRouter, vLLM, DeepSeek
REFUSALS = (400, 413, 422)  # statuses that come again for the same request
MOVED = "; redirects are not followed, since they may drop the question: pass that address"
KEY_LETTERS = 8  # characters from which a key is one, and no dummy such as "x"
PORTS = {"http": 80, "https": 443}
MOST_TOKENS = 2**53  # what a server counts beyond it is no count


class Answer(NamedTuple):
    """One answer; tokens are None where the server does not count them.

    A refusal that a server tells apart from text is the text, and `refused`. `server` is who gave
    it, "" for a model here.
    """

    text: str
    finish: str | None
    prompt_tokens: int | None
    completion_tokens: int | None
    refused: bool = False
    server: str = ""

    @property
    def cut(self) -> bool:
        """Whether it ended at the limit of tokens, and would have gone on."""
        return self.finish in CUT

    @property
    def finished(self) -> bool:
        """Whether all was said that was to be said."""
        return not self.refused and self.finish not in (*CUT, FILTERED)


class RequestRefused(ServerFailure):
    """A request that the server understood and does not serve: asking again changes nothing."""


class Endpoint:
    """A server that speaks /chat/completions; failed calls are repeated with growing pauses.

    The key comes from the environment (OPENAI_API_KEY), where the server wants one, and stands in
    no message. To be used and closed in one event loop.
    """

    def __init__(
        self, url: str, model: str, *, seconds: float = SECONDS, key_over_http: bool = False
    ) -> None:
        """Asks nothing yet.

        Raises BadOption for a URL that is none or has a secret, for a key that would cross a
        network in the clear unless `key_over_http`, and without a client that starts.
        """
        _check_url(url)
        try:
            from openai import AsyncOpenAI, DefaultAsyncHttpxClient
        except ImportError as error:
            raise BadOption("a server needs the client: pip install 'rmeval[server]'") from error
        self.url, self.model = url, model
        self._key, self._patience = _read_key(), seconds * (RETRIES + 2)
        if self._key != NO_KEY and not key_over_http and not _is_private(url):
            raise BadOption(
                f"{KEY} would go over the network in the clear, to "
                f"{one_line(url)[:MESSAGE_LETTERS]}: use https://, unset it, or pass "
                "`key_over_http=True`"
            )
        try:
            self._client: Any = AsyncOpenAI(
                base_url=url,
                api_key=self._key,
                timeout=seconds,
                max_retries=RETRIES,
                http_client=DefaultAsyncHttpxClient(follow_redirects=False),
            )
        except (OSError, ValueError) as error:  # certificates and proxies of the environment
            raise BadOption(f"the client cannot start ({first_line(error)})") from error

    async def complete(self, conversation: Conversation, **settings: Any) -> list[str]:
        """Returns the texts with which a conversation goes on, at least one.

        Raises ServerFailure for no answer or one without text, RequestRefused for 400, 413 and 422.
        """
        return self._texts(self._choices(await self._ask(conversation, settings)))

    async def answer(self, conversation: Conversation, **settings: Any) -> Answer:
        """Returns how a conversation goes on: the first choice, how it ended, what it took.

        No text is an answer too where the server says why: a refusal, the limit, a filter.
        Raises ServerFailure for none or a broken one, RequestRefused for 400, 413 and 422.
        """
        found = await self._ask(conversation, settings)
        choice = self._choices(found)[0]
        message, finish = getattr(choice, "message", None), getattr(choice, "finish_reason", None)
        text, refusal = getattr(message, "content", None), getattr(message, "refusal", None)
        if finish in BROKEN:
            raise ServerFailure(f"{self.url}: an answer that broke off (finish_reason {finish})")
        refused = isinstance(refusal, str) and bool(refusal)
        if refused:
            text = text or refusal
        elif text is None and finish in (*CUT, FILTERED):
            text = ""
        if not isinstance(text, str):
            raise self._without_text([choice])
        usage = getattr(found, "usage", None)
        return Answer(
            self._clean(text),
            self._clean(finish) if isinstance(finish, str) else None,
            _count(getattr(usage, "prompt_tokens", None)),
            _count(getattr(usage, "completion_tokens", None)),
            refused,
            self.url,
        )

    async def close(self) -> None:
        """Closes the connections."""
        await self._client.close()

    async def _ask(self, conversation: Conversation, settings: dict[str, Any]) -> Any:
        from openai import APIStatusError, OpenAIError

        messages = [message.fields() for message in conversation]
        tools = tools_of(conversation)
        settings = settings if tools is None else {**settings, "tools": tools}
        try:
            async with asyncio.timeout(self._patience):  # the client bounds a silence, not a call
                return await self._client.chat.completions.create(
                    model=self.model, messages=messages, **settings
                )
        except TimeoutError:
            raise ServerFailure(f"{self.url}: no complete answer in {self._patience:g} s") from None
        except (OpenAIError, ValueError, RecursionError) as error:  # ValueError: not JSON
            status = error.status_code if isinstance(error, APIStatusError) else None
            if isinstance(error, APIStatusError) and 300 <= error.status_code < 400:
                to = f"{status} to {error.response.headers.get('location', 'nowhere')}"
                raise ServerFailure(self._say("a redirect", to) + MOVED) from None
            kind = RequestRefused if status in REFUSALS else ServerFailure
            cause = f" {first_line(error.__cause__)}" if error.__cause__ else ""
            raise kind(self._say(type(error).__name__, first_line(error) + cause)) from None

    def _say(self, what: str, said: str) -> str:
        return f"{self.url}: {what} ({one_line(self._clean(said))[:MESSAGE_LETTERS]})"

    def _clean(self, text: str) -> str:
        """Returns what a server says without half characters, and without the key it may repeat."""
        text = text.replace(self._key, "…") if len(self._key) >= KEY_LETTERS else text
        return HALF_PAIR.sub("\N{REPLACEMENT CHARACTER}", text)

    def _choices(self, answer: Any) -> list[Any]:
        """Returns the choices. Raises ServerFailure for none, or for an error sent as an answer."""
        error, choices = getattr(answer, "error", None), getattr(answer, "choices", None)
        if error is not None:
            raise ServerFailure(self._say("an error in place of an answer", str(error)))
        if not isinstance(choices, list) or not choices:
            raise ServerFailure(
                f"{self.url}: an answer without choices; is this the API's address?"
            )
        return choices

    def _texts(self, choices: list[Any]) -> list[str]:
        messages = [getattr(choice, "message", None) for choice in choices]
        if any(getattr(message, "tool_calls", None) for message in messages):
            raise ServerFailure(f"{self.url}: an answer that calls a tool instead of giving text")
        found = [getattr(message, "content", None) for message in messages]
        texts = [text for text in found if isinstance(text, str)]
        if len(texts) < len(choices):
            raise self._without_text(choices)
        if any(HALF_PAIR.search(text) for text in texts):
            raise ServerFailure(f"{self.url}: half of a surrogate pair, which is not valid text")
        return texts

    def _without_text(self, choices: list[Any]) -> ServerFailure:
        ends = sorted({str(getattr(choice, "finish_reason", None)) for choice in choices})
        return ServerFailure(
            f"{self.url}: an answer without text (finish_reason "
            f"{one_line(', '.join(ends))[:MESSAGE_LETTERS]}); a model that thinks first may "
            "need more `max_new_tokens=`"
        )


def _read_key() -> str:
    """Returns the key. Raises BadOption for one that no header can hold."""
    key = os.environ.get(KEY, "").strip() or NO_KEY
    if not key.isascii() or not key.isprintable() or " " in key:
        raise BadOption(f"{KEY} holds white space or other characters that no key has")
    return key


def _check_url(url: str) -> None:
    """Raises BadOption for a URL that leads nowhere, or that holds what no file may hold."""
    try:
        parts = urlsplit(url)
        known = parts.scheme in ("http", "https") and parts.hostname and (parts.port or 1)
    except ValueError:
        known = False
    if not known:
        raise BadOption("a server's URL is http:// or https://, a host, and a path such as /v1")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise BadOption(f"a server's URL has no user and no query here; put the key in {KEY}")


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


def _count(value: Any) -> int | None:
    """Returns a number of tokens, or None for what is none."""
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return value if is_number and 0 <= value <= MOST_TOKENS else None
