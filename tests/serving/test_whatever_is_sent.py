"""Whatever JSON a client sends to whatever path: it is answered, or refused in one line."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from serving_by_hand import GatedModel, opened
from starlette.responses import Response

from rmeval.errors import RmevalError
from rmeval.serving.answers import answer_to, json_response
from rmeval.serving.protocols import PROTOCOLS, Served
from rmeval.serving.reading import Reader

FIELDS = [
    *("conversations", "query", "prompt", "response", "messages", "input", "text", "input_ids"),
    *("inputs", "model", "use_activation", "truncate_prompt_tokens", "truncation_side", "tools"),
    *("encoding_format", "task", "raw_scores", "truncate", "stream", "dimensions", "labels"),
    *("role", "content", "reference", "add_generation_prompt"),
]
WORDS = ["user", "assistant", "system", "gated", "left", "right", "float", "base64", "classify"]
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.integers(0, 100),
    st.floats(allow_nan=False),
    st.text(max_size=8),
    st.sampled_from(WORDS),
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.sampled_from(FIELDS), inner, max_size=4)
    ),
    max_leaves=12,
)
BODIES = st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=6)
SERVED = Served(("gated",), 100)


@pytest.mark.parametrize("path", sorted(PROTOCOLS))
@settings(max_examples=60)
@given(body=BODIES)
def test_it_is_answered_or_refused_in_one_line(path: str, body: dict[str, Any]) -> None:
    answer = answered(opened(), path, body)
    assert answer.status_code in (200, 400, 404)
    assert b"\n" not in bytes(answer.body)


def answered(model: GatedModel, path: str, body: dict[str, Any]) -> Response:
    try:
        asked = PROTOCOLS[path](body, SERVED)
        read = Reader(model, None).read(asked.items, asked.word, asked.on_long or "refuse")
    except RmevalError as error:
        return answer_to(error)
    assert len(read) == len(asked.items)
    return json_response(asked.answer(model.score_fitted(read)))
