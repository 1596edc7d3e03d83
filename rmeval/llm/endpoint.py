"""Text from an OpenAI-compatible server: hosted, vLLM, SGLang, llama.cpp."""

import asyncio
import re
from collections.abc import Mapping
from math import inf
from time import monotonic
from typing import Any, NamedTuple

from rmeval.conversations import HALF_PAIR
from rmeval.errors import BadOption, ServerFailure, first_line, one_line
from rmeval.llm.address import (
    MESSAGE_LETTERS,
    MOVED,
    check_url,
    read_key,
    require_private,
    without_key,
)
from rmeval.records import Conversation, tools_of

KEY, NO_KEY = "OPENAI_API_KEY", "none"  # the client insists on one
SECONDS, RETRIES = 300.0, 5  # of one call; after a failure, with growing pauses
CUT = ("length", "max_tokens", "model_length")  # how servers say that there was no room for more
FILTERED = "content_filter"
BROKEN = ("error", "abort", "insufficient_system_resource")  # ends of OpenRouter, vLLM, DeepSeek
REFUSALS = (400, 413, 422)  # statuses that come again for the same request
MOST_TOKENS = 2**53  # what a server counts beyond it is no count


class Answer(NamedTuple):
    """One answer; tokens are None where the server does not count them.

    A refusal that a server tells apart from text is the text, and `refused`. `server` is who gave
    it, "" for a model here. `labels` are the natural logarithms of the probabilities of the tokens
    that were asked for, in their place, None where the answer has no such place; `unseen` is that
    of what those that are not among them can have at most, None where nothing was left out.
    """

    text: str
    finish: str | None
    prompt_tokens: int | None
    completion_tokens: int | None
    refused: bool = False
    server: str = ""
    labels: dict[str, float] | None = None
    unseen: float | None = None

    @property
    def cut(self) -> bool:
        """Whether it ended at the limit of tokens, and would have gone on."""
        return self.finish in CUT

    @property
    def finished(self) -> bool:
        """Whether all was said that was to be said."""
        return not self.refused and self.finish not in (*CUT, FILTERED)


class Token(NamedTuple):
    """A token of an answer, and the likeliest ones in its place with their log-probabilities."""

    text: str
    likeliest: tuple[tuple[str, float], ...]


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
        check_url(url, KEY)
        try:
            from openai import AsyncOpenAI, DefaultAsyncHttpxClient
        except ImportError as error:
            raise BadOption("a server needs the client: pip install 'rmeval[server]'") from error
        self.url, self.model = url, model
        self._closed_until = 0.0  # a monotonic time
        self._key, self._patience = read_key(KEY) or NO_KEY, seconds * (RETRIES + 2)
        if self._key != NO_KEY and not key_over_http:
            require_private(url, KEY)
        try:
            self._client: Any = AsyncOpenAI(
                base_url=url,
                api_key=self._key,
                timeout=seconds,
                max_retries=RETRIES,
                http_client=DefaultAsyncHttpxClient(follow_redirects=False),
            )
            self._create: Any = self._client.chat.completions.with_raw_response.create
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
        return self._answer(await self._ask(conversation, settings))

    async def answer_by_token(
        self, conversation: Conversation, **settings: Any
    ) -> tuple[Answer, list[Token]]:
        """Returns an answer as `answer` does, and its tokens with those that were likeliest.

        Raises ServerFailure too where the server says nothing of probabilities.
        """
        return self._by_token(await self._ask(conversation, settings))

    def read(self, body: Mapping[str, Any]) -> Answer:
        """Returns the answer in the JSON of one that came another way. Raises ServerFailure."""
        return self._answer(_as_sent(body))

    def read_by_token(self, body: Mapping[str, Any]) -> tuple[Answer, list[Token]]:
        """Returns the same with its tokens, as `answer_by_token` does."""
        return self._by_token(_as_sent(body))

    def _by_token(self, found: Any) -> tuple[Answer, list[Token]]:
        answer, choice = self._answer(found), self._choices(found)[0]
        listed = getattr(getattr(choice, "logprobs", None), "content", None)
        if not listed and answer.text:
            raise ServerFailure(
                f"{self.url}: no probabilities of tokens (logprobs), which this prompt format "
                "reads; ask a server that gives them, or a model on this machine"
            )
        return answer, [_token(token) for token in listed or ()]

    def _answer(self, found: Any) -> Answer:
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
        await self._wait_for_leave()
        try:
            async with asyncio.timeout(self._patience):  # the client bounds a silence, not a call
                raw = await self._create(model=self.model, messages=messages, **settings)
                self._heed(raw.headers)
                return raw.parse()
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

    async def _wait_for_leave(self) -> None:
        """Waits until the time before which a server has said to have no room for a call."""
        while (left := self._closed_until - monotonic()) > 0:
            await asyncio.sleep(left)

    def _heed(self, headers: Mapping[str, str]) -> None:
        """Takes note of a rate limit that is used up, and of when it is not any more."""
        for kind in ("requests", "tokens"):
            remaining = headers.get(f"x-ratelimit-remaining-{kind}", "")
            seconds = seconds_of(headers.get(f"x-ratelimit-reset-{kind}", ""))
            if seconds is not None and remaining.isdecimal() and int(remaining) == 0:
                until = monotonic() + min(seconds, self._patience / 2)
                self._closed_until = max(self._closed_until, until)

    def _say(self, what: str, said: str) -> str:
        return f"{self.url}: {what} ({one_line(self._clean(said))[:MESSAGE_LETTERS]})"

    def _clean(self, text: str) -> str:
        """Returns what a server says without half characters, and without the key it may repeat."""
        return HALF_PAIR.sub("\N{REPLACEMENT CHARACTER}", without_key(text, self._key))

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


def _as_sent(body: Mapping[str, Any]) -> Any:
    """Returns the JSON of an answer as the client gives it."""
    from openai.types.chat import ChatCompletion

    return ChatCompletion.construct(**body)


def seconds_of(text: str) -> float | None:
    """Returns how long "1m30s", "250ms" or "12" is, in seconds, or None for what is no time."""
    units = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return float(text)
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|h|m|s)", text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        return None
    return sum(float(number) * units[unit] for number, unit in parts)


def _token(told: Any) -> Token:
    """Returns a token as it is told, without those of its likeliest that have no probability."""
    likeliest = []
    for other in getattr(told, "top_logprobs", None) or ():
        text: Any = getattr(other, "token", None)
        chance: Any = getattr(other, "logprob", None)
        is_number = isinstance(chance, int | float) and not isinstance(chance, bool)
        if isinstance(text, str) and is_number and -inf < chance <= 0:
            likeliest.append((text, float(chance)))
    return Token(str(getattr(told, "token", "")), tuple(likeliest))


def _count(value: Any) -> int | None:
    """Returns a number of tokens, or None for what is none."""
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return value if is_number and 0 <= value <= MOST_TOKENS else None
