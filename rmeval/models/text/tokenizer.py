"""The one way in which a conversation becomes ids: rendered by the chat template, tokenised once.

Which special tokens stand around the text is a policy (`rmeval.models.text.specials`); which day a
template writes is fixed (`rmeval.models.text.day`).
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rmeval.errors import FOREIGN, BadCheckpoint, BadConversation, reason_of
from rmeval.known import shipped_templates
from rmeval.models.text.day import USUAL_DAY
from rmeval.models.text.patience import within
from rmeval.models.text.specials import Specials
from rmeval.records import Conversation, tools_of

CALLS = "tool_calls"
SECONDS = 10  # for one conversation; a template that takes longer has no end


def encode_conversations(
    specials: Specials, conversations: Sequence[Conversation], end_token: int | None
) -> list[list[int]]:
    """Renders and tokenises conversations; `end_token` is appended where it is not last.

    Raises BadConversation for one that the chat template refuses.
    """
    if not conversations:
        return []
    texts = [render(specials.tokenizer, talk, i) for i, talk in enumerate(conversations)]
    ids = specials.encode(texts)
    if end_token is not None:
        ids = [[*row, end_token] if row[-1:] != [end_token] else row for row in ids]
    return ids


def render(
    tokenizer: Any,
    conversation: Conversation,
    index: int,
    *,
    template: str | None = None,
    add_generation_prompt: bool = False,
) -> str:
    """Returns the text of a conversation as the tokenizer's, or another, template writes it.

    It is written on the tokenizer's `day`, see `rmeval.models.text.day`. Raises
    BadConversation, naming its `index`, for one that the template refuses, or whose tools or tool
    calls it does not write.
    """
    messages = [message.fields() for message in conversation]
    tools = tools_of(conversation)
    template = template_of(tokenizer, tools) if template is None else template
    if template is not None:
        template = getattr(tokenizer, "day", USUAL_DAY).fixed_in(template)
    options = {"chat_template": template, "add_generation_prompt": add_generation_prompt}
    text = _apply(tokenizer, messages, tools, index, options)
    if tools and _apply(tokenizer, messages, None, index, options) == text:
        raise BadConversation(index, "it offers tools, which the chat template does not write")
    if any(message.get(CALLS) for message in messages):
        without = [{k: v for k, v in m.items() if k != CALLS} for m in messages]
        if _apply(tokenizer, without, tools, index, options) == text:
            raise BadConversation(index, f"it holds {CALLS}, which the chat template drops")
    return text


def _apply(
    tokenizer: Any,
    messages: Sequence[Mapping[str, Any]],
    tools: Any,
    index: int,
    options: Mapping[str, Any],
) -> str:
    from jinja2 import TemplateError

    try:
        with within(SECONDS):
            text: str = tokenizer.apply_chat_template(
                messages, tools=tools, tokenize=False, **options
            )
        text.encode()  # half of a surrogate pair is no text, and has no tokens
    except (TemplateError, *FOREIGN) as error:
        roles = ", ".join(str(message["role"]) for message in messages)
        why = str(error) if isinstance(error, TemplateError) else reason_of(error)
        raise BadConversation(
            index, f"the chat template refuses the roles ({roles}): {why}"
        ) from error
    return text


def template_of(tokenizer: Any, tools: object = None) -> str | None:
    """Returns the tokenizer's template; of several, that for tools where there are some."""
    template = tokenizer.chat_template
    if isinstance(template, dict):
        wanted = "tool_use" if tools and "tool_use" in template else "default"
        template = template.get(wanted)
    return template if isinstance(template, str) else None


def require_chat_template(tokenizer: Any, folder: Path) -> str:
    """Returns the tokenizer's chat template. Raises BadCheckpoint where it has none."""
    template = template_of(tokenizer)
    if template is None:
        raise BadCheckpoint(
            f"{folder}: its tokenizer has no chat template, so conversations cannot be rendered; "
            "put the one it was trained with into chat_template.jinja, or pass "
            f"`chat_template=FILE` or one of rmeval's ({', '.join(shipped_templates())})"
        )
    return template
