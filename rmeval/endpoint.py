"""Text from an OpenAI-compatible server: hosted, vLLM, SGLang, llama.cpp."""

import os
from typing import Any
from urllib.parse import urlsplit

from rmeval.conversations import HALF_PAIR
from rmeval.errors import BadOption, ServerFailure, first_line, one_line
from rmeval.types import Conversation

KEY, NO_KEY = "OPENAI_API_KEY", "none"  # the client insists on one
SECONDS, RETRIES = 300.0, 5  # of one call; after a failure, with growing pauses
SHOWN = 300  # characters of a server's own message


class RequestRefused(ServerFailure):
    """A request that the server understood and does not serve: asking again changes nothing."""


class Endpoint:
    """A server that speaks /chat/completions; failed calls are repeated with growing pauses.

    The key comes from the environment (OPENAI_API_KEY), where the server wants one, and stands in
    no message. To be used and closed in one event loop.
    """

    def __init__(self, url: str, model: str, *, seconds: float = SECONDS) -> None:
        """Asks nothing yet. Raises BadOption for a URL with a secret, or without the client."""
        if urlsplit(url).username or urlsplit(url).query:
            raise BadOption(f"a server's URL has no user and no query here; put the key in {KEY}")
        try:
            from openai import AsyncOpenAI
        except ImportError as error:
            raise BadOption("a server needs the client: pip install 'rmeval[server]'") from error
        self.url, self.model = url, model
        self._key = os.environ.get(KEY) or NO_KEY
        self._client: Any = AsyncOpenAI(
            base_url=url, api_key=self._key, timeout=seconds, max_retries=RETRIES
        )

    async def complete(self, conversation: Conversation, **settings: Any) -> list[str]:
        """Returns the texts with which a conversation goes on, at least one.

        Raises ServerFailure for no answer or one without text, RequestRefused for 400 and 422.
        """
        from openai import BadRequestError, OpenAIError, UnprocessableEntityError

        messages = [message._asdict() for message in conversation]
        try:
            answer = await self._client.chat.completions.create(
                model=self.model, messages=messages, **settings
            )
        except (BadRequestError, UnprocessableEntityError) as error:
            raise RequestRefused(self._say(error)) from None
        except (OpenAIError, ValueError, RecursionError) as error:  # ValueError: not JSON
            raise ServerFailure(self._say(error)) from None
        return self._texts(answer)

    async def close(self) -> None:
        """Closes the connections."""
        await self._client.close()

    def _say(self, error: Exception) -> str:
        said = first_line(error)
        if self._key != NO_KEY:
            said = said.replace(self._key, "…")  # some servers repeat it
        return f"{self.url}: {type(error).__name__} ({one_line(said)[:SHOWN]})"

    def _texts(self, answer: Any) -> list[str]:
        choices = getattr(answer, "choices", None)
        if not isinstance(choices, list) or not choices:
            raise ServerFailure(f"{self.url}: an answer without choices")
        found = [getattr(getattr(choice, "message", None), "content", None) for choice in choices]
        texts = [text for text in found if isinstance(text, str)]
        if len(texts) < len(choices):
            ends = sorted({str(getattr(choice, "finish_reason", None)) for choice in choices})
            raise ServerFailure(
                f"{self.url}: an answer without text (finish_reason "
                f"{one_line(', '.join(ends))[:SHOWN]}); a model that thinks first may need more "
                "--max-new-tokens"
            )
        if any(HALF_PAIR.search(text) for text in texts):
            raise ServerFailure(f"{self.url}: half of a surrogate pair, which is no text")
        return texts
