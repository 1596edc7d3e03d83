"""What each client sends, and what it wants to have back: one function for each path.

The shapes are those of the servers that these clients were written for: OpenRLHF's serve_rm,
slime's remote_rm, LLaMA-Factory's score API, vLLM 0.32, SGLang 0.5, Text Embeddings Inference,
OpenAI. A field that would change the number there and cannot here is refused, never passed over.
"""

import base64
import math
import struct
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple
from uuid import uuid4

from rmeval.conversations import to_conversation
from rmeval.errors import BadData, RmevalError, one_line
from rmeval.records import Score
from rmeval.serving.reading import Item, is_ids, to_item
from rmeval.serving.settings import REFUSE

Body = Mapping[str, Any]
LABEL = "LABEL_0"  # what transformers calls the one label of a reward model
RENAMED = ("activation", "softmax", "normalize")  # older names, which vLLM passes over or refuses


class UnknownModel(RmevalError):
    """Another model is asked for than the one that is served."""


class Served(NamedTuple):
    """What is served: what clients may call it, its own name first, and its longest sequence."""

    names: tuple[str, ...]
    max_length: int

    @property
    def name(self) -> str:
        """What answers call it."""
        return self.names[0]


class Asked(NamedTuple):
    """A request: what is to be scored, what one of it is called, and how the answer is written.

    `on_long` is what the client wants for what is too long, where it says so.
    """

    items: Sequence[Item]
    word: str
    answer: Callable[[Sequence[Score]], Any]
    on_long: str | None = None


def rewards(body: Body, served: Served) -> Asked:
    """rmeval's own: conversations as messages, ids or text, in any mixture."""

    def answer(scores: Sequence[Score]) -> Any:
        objectives = [list(score.objectives) for score in scores]
        return {
            "model": served.name,
            "scores": _values(scores),
            "tokens": [score.tokens for score in scores],
            "truncated": [score.truncated for score in scores],
            **({"objectives": objectives} if any(objectives) else {}),
        }

    given = _list(body, "conversations")
    return Asked(_items(given, "conversation"), "conversation", answer)


def get_reward(body: Body, served: Served) -> Asked:
    """OpenRLHF's reward.remote_url; an empty shard of a batch has an empty answer."""
    query = _field(body, "query")
    given = [query] if isinstance(query, str) else _list(body, "query")

    def answer(scores: Sequence[Score]) -> Any:
        return {"rewards": _values(scores), "scores": _values(scores), "extra_logs": {}}

    return Asked(_texts(given, "query"), "query", answer)


def reward(body: Body, served: Served) -> Asked:
    """slime's remote_rm: one prompt, one response, and a bare number back."""
    prompt, response = _field(body, "prompt"), _field(body, "response")
    if not isinstance(response, str):
        raise BadData("response: expected a text")
    item: Item
    if isinstance(prompt, str):
        item = to_item(prompt + response, "prompt")
    else:
        turn = {"role": "assistant", "content": response}
        item = to_conversation([*_list(body, "prompt"), turn], "prompt")
    return Asked([item], "prompt", lambda scores: scores[0].value)


def score_evaluation(body: Body, served: Served) -> Asked:
    """LLaMA-Factory's reward_model_type: api; it calls every model "model"."""
    asked_for = body.get("model")
    name = asked_for if isinstance(asked_for, str) else served.name

    def answer(scores: Sequence[Score]) -> Any:
        return {
            "id": _id("scoreval"),
            "object": "score.evaluation",
            "model": name,
            "scores": _values(scores),
        }

    return Asked(_texts(_list(body, "messages"), "text"), "text", answer)


def classify(body: Body, served: Served) -> Asked:
    """vLLM's /classify, or SGLang's own, which names its input otherwise."""
    if "text" in body or "input_ids" in body:
        return _sglang(body)
    items = _vllm_items(body, served)
    raw = _is_raw(body)

    def answer(scores: Sequence[Score]) -> Any:
        data = [
            {"index": index, "label": LABEL, "probs": [value], "num_classes": 1}
            for index, value in enumerate(_values(scores, raw=raw))
        ]
        return _vllm_answer("classify", data, scores, served)

    return Asked(items, "input", answer)


def pooling(body: Body, served: Served) -> Asked:
    """vLLM's /pooling of a classifier."""
    items = _vllm_items(body, served)
    raw, written = _is_raw(body), _encoding(body)
    task = body.get("task")
    if task not in (None, "classify"):
        raise BadData(f"task {one_line(repr(task))[:40]}: a reward has the task 'classify'")

    def answer(scores: Sequence[Score]) -> Any:
        data = [
            {"index": index, "object": "pooling", "data": written(value)}
            for index, value in enumerate(_values(scores, raw=raw))
        ]
        return _vllm_answer("pool", data, scores, served)

    return Asked(items, "input", answer)


def embeddings(body: Body, served: Served) -> Asked:
    """SGLang's /v1/embeddings of a reward model, as verl and OpenAI's client ask for it."""
    given, written = _one_or_many(_field(body, "input")), _encoding(body)
    if "dimensions" in body and body["dimensions"] not in (None, 1):
        raise BadData("dimensions: a reward has 1")

    def answer(scores: Sequence[Score]) -> Any:
        data = [
            {"index": index, "object": "embedding", "embedding": written(value)}
            for index, value in enumerate(_values(scores))
        ]
        return {"object": "list", "model": served.name, "data": data, "usage": _usage(scores)}

    return Asked(_texts_or_ids(given, "input"), "input", answer)


def predict(body: Body, served: Served) -> Asked:
    """Text Embeddings Inference's /predict: a text, or a list of lists of one text each."""
    inputs = _field(body, "inputs")
    many = isinstance(inputs, list) and bool(inputs) and isinstance(inputs[0], list)
    rows = inputs if many else [[inputs] if isinstance(inputs, str) else inputs]
    if not all(isinstance(row, list) and len(row) == 1 for row in rows):
        raise BadData(
            "inputs: expected a text, or a list of lists of one text each; two texts are a pair, "
            "which a reward model does not read"
        )
    raw = _flag(body, "raw_scores", False)

    def answer(scores: Sequence[Score]) -> Any:
        found = [[{"score": v, "label": LABEL}] for v in _values(scores, raw=raw)]
        return found if many else found[0]

    long = REFUSE if body.get("truncate") is False else None
    return Asked(_texts([row[0] for row in rows], "input"), "input", answer, long)


def chat_completions(body: Body, served: Served) -> Asked:
    """A reward as NVIDIA's NIM gives it in OpenAI's protocol: in the text, and as a logprob."""
    _require_served(body, served)
    if _flag(body, "stream", False):
        raise BadData("stream: a reward comes at once; leave it out")
    talk = to_conversation(_with_tools(body), "messages")

    def answer(scores: Sequence[Score]) -> Any:
        value = scores[0].value
        token: dict[str, Any] = {
            "token": "reward",
            "bytes": None,
            "logprob": value,
            "top_logprobs": [],
        }
        choice = {
            "index": 0,
            "finish_reason": "stop",
            "message": {"role": "assistant", "content": f"reward:{value!r}"},
            "logprobs": {"content": [token]},
        }
        return {
            "id": _id("chatcmpl"),
            "object": "chat.completion",
            "created": int(time.time()),
            "model": served.name,
            "choices": [choice],
            "usage": {**_usage(scores), "completion_tokens": 1},
        }

    return Asked([talk], "messages", answer)


PROTOCOLS: Mapping[str, Callable[[Body, Served], Asked]] = {
    "/v1/rewards": rewards,
    "/get_reward": get_reward,
    "/reward": reward,
    "/v1/score/evaluation": score_evaluation,
    "/classify": classify,
    "/pooling": pooling,
    "/v1/embeddings": embeddings,
    "/predict": predict,
    "/": predict,
    "/v1/chat/completions": chat_completions,
}


def _sglang(body: Body) -> Asked:
    """SGLang's native /classify: one object for one input, a list for a list."""
    if "text" in body and "input_ids" in body:
        raise BadData("text and input_ids: pass one of them")
    word = "text" if "text" in body else "input_ids"
    given = body[word]
    one = isinstance(given, str) or is_ids(given)

    def answer(scores: Sequence[Score]) -> Any:
        found = [
            {
                "embedding": [score.value],
                "meta_info": {
                    "id": uuid4().hex,
                    "finish_reason": {"type": "length", "length": 0},
                    "prompt_tokens": score.tokens,
                    "e2e_latency": 0.0,
                },
            }
            for score in scores
        ]
        return found[0] if one else found

    return Asked(_texts_or_ids(_one_or_many(given), word), word, answer)


def _vllm_items(body: Body, served: Served) -> Sequence[Item]:
    """Returns what a request to vLLM gives to be scored. Raises BadData for none."""
    _require_served(body, served)
    if "input" not in body and "messages" not in body:
        raise BadData("expected input or messages")
    if "input" not in body:
        for name in ("add_generation_prompt", "chat_template"):
            if body.get(name):
                raise BadData(f"{name}: messages are written by the model's own template, whole")
        return [to_conversation(_with_tools(body), "messages")]
    given = _one_or_many(body["input"])
    if not given:
        raise BadData("input: pass at least one text, or one list of ids")
    return [_shortened(item, body, served) for item in _texts_or_ids(given, "input")]


def _shortened(item: Item, body: Body, served: Served) -> Item:
    """Returns an item cut as the request says, by truncate_prompt_tokens and truncation_side."""
    most = body.get("truncate_prompt_tokens")
    if most is None:
        return item
    if type(most) is not int or most < -1 or most == 0:
        raise BadData("truncate_prompt_tokens: expected a number of tokens, or -1")
    if isinstance(item, str):
        raise BadData(
            "truncate_prompt_tokens: only ids are cut so; `on_long=` says what becomes of text"
        )
    most = served.max_length if most == -1 else most
    if len(item) <= most:
        return item
    side = body.get("truncation_side")
    if side not in ("left", "right"):
        raise BadData("truncation_side: say 'left', to lose the beginning, or 'right', the end")
    return item[-most:] if side == "left" else item[:most]


def _require_served(body: Body, served: Served) -> None:
    name = body.get("model")
    if name is not None and name not in served.names:
        shown = one_line(str(name))[:80]
        raise UnknownModel(f"The model `{shown}` does not exist; `{served.name}` is served here.")


def _is_raw(body: Body) -> bool:
    """Whether the reward is asked for as it is: vLLM gives its sigmoid unless told otherwise."""
    for name in RENAMED:
        if name in body:
            raise BadData(f"{name}: vLLM calls it use_activation now, and passes over other names")
    return not _flag(body, "use_activation", True)


def _encoding(body: Body) -> Callable[[float], list[float] | str]:
    """Returns how a vector of one number is written: as it is, or as base64 of a float32."""
    form = body.get("encoding_format")
    if form == "base64":
        return lambda value: base64.b64encode(struct.pack("<f", value)).decode()
    if form not in (None, "float"):
        raise BadData("encoding_format: expected 'float' or 'base64'")
    return lambda value: [value]


def _vllm_answer(kind: str, data: list[Any], scores: Sequence[Score], served: Served) -> Any:
    return {
        "id": _id(kind),
        "object": "list",
        "created": int(time.time()),
        "model": served.name,
        "data": data,
        "usage": {
            **_usage(scores),
            "completion_tokens": 0,
            "prompt_tokens_details": None,
            "completion_tokens_details": None,
        },
    }


def _with_tools(body: Body) -> Any:
    return {"messages": _list(body, "messages"), "tools": body.get("tools")}


def _one_or_many(given: object) -> list[Any]:
    """Returns the inputs of a field that is one of them or a list. Raises BadData."""
    if isinstance(given, str) or is_ids(given):
        return [given]
    if isinstance(given, list):
        return given
    raise BadData("input: expected a text, token ids, or a list of these")


def _texts_or_ids(given: Sequence[Any], word: str) -> Sequence[Item]:
    for index, item in enumerate(given):
        if not isinstance(item, str) and not is_ids(item):
            raise BadData(f"{word} {index}: expected a text, or whole numbers that are token ids")
    return _items(given, word)


def _texts(given: Sequence[Any], word: str) -> Sequence[Item]:
    for index, item in enumerate(given):
        if not isinstance(item, str):
            raise BadData(f"{word} {index}: expected a text, got {type(item).__name__}")
    return _items(given, word)


def _items(given: Sequence[Any], word: str) -> Sequence[Item]:
    return [to_item(item, f"{word} {index}") for index, item in enumerate(given)]


def _field(body: Body, name: str) -> Any:
    if name not in body:
        found = one_line(", ".join(body))[:80]
        raise BadData(f"no field {name}; found: {found or 'none'}")
    return body[name]


def _list(body: Body, name: str) -> list[Any]:
    given = _field(body, name)
    if not isinstance(given, list):
        raise BadData(f"{name}: expected a list, got {type(given).__name__}")
    return given


def _flag(body: Body, name: str, default: bool) -> bool:
    given = body.get(name)
    if given is None:
        return default
    if not isinstance(given, bool):
        raise BadData(f"{name}: expected true or false")
    return given


def _values(scores: Sequence[Score], *, raw: bool = True) -> list[float]:
    return [score.value if raw else _sigmoid(score.value) for score in scores]


def _sigmoid(value: float) -> float:
    """Returns 1 / (1 + e^-x), also where e^-x is too large for a number."""
    small = math.exp(-abs(value))
    return 1 / (1 + small) if value >= 0 else small / (1 + small)


def _usage(scores: Sequence[Score]) -> dict[str, Any]:
    tokens = sum(score.tokens for score in scores)
    return {"prompt_tokens": tokens, "total_tokens": tokens}


def _id(kind: str) -> str:
    return f"{kind}-{uuid4().hex}"
