"""PairRM (LLM-Blender, arXiv 2306.02561), in the layout of llm-blender/PairRM-hf."""

import re
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoModel, PretrainedConfig
from transformers.modeling_outputs import SequenceClassifierOutput

from rmeval.engine.truncation import Encoded
from rmeval.errors import BadConversation
from rmeval.models.checkpoints.checkpoint import Checkpoint
from rmeval.models.family import Placed
from rmeval.models.pairwise import PairwiseFamily, Shown
from rmeval.records import Conversation

SOURCE, FIRST, SECOND = "<|source|>", "<|candidate1|>", "<|candidate2|>"
LONGEST, LONGEST_SOURCE = 2048, 1224  # tokens of all three texts, and of the prompt: the card's
CHAT = (  # its authors' words
    "Finish the following coversation in each i-th turn by filling in <Response i> with your "
    "response."
)
MARKER = re.compile(r"<\|(source|candidate[12]?)\|>")
HEADS = ("head_layer.1.weight", "head_layer.4.weight")


class PairRM(PairwiseFamily):
    """Body `pretrained_model.*` (DeBERTa); `head_layer` scores each candidate's marker token."""

    name = "pairrm"
    needs = HEADS
    max_length = LONGEST  # its body counts distances, not positions

    @staticmethod
    def claims(checkpoint: Checkpoint) -> bool:
        return checkpoint.shapes.keys() >= set(HEADS) and "source_prefix_id" in checkpoint.config

    def backbone(self, config: PretrainedConfig, attention: str | None) -> nn.Module:
        return PairRMNetwork(config, self.checkpoint.shapes[HEADS[0]][0])

    def head(self) -> None:
        return None

    def place(self, key: str, tensor: Tensor) -> Placed:
        return [(f"backbone.{key}", tensor)]

    def template(self, tokenizer: Any) -> str:
        return f"{SOURCE}{{prompt}}, {FIRST}{{first}}, {SECOND}{{second}}; chats: {CHAT}"

    def encode_pairs(
        self, tokenizer: Any, shown: Sequence[Shown], max_length: int
    ) -> list[Encoded]:
        rows = []
        for index, pair in enumerate(shown):
            source, before = _as_source(pair.prompt, index)
            firsts = (before + text for text in pair[1:])
            whole = [
                tokenizer.encode(marker + MARKER.sub(r"\1", text), verbose=False)
                for marker, text in zip((SOURCE, FIRST, SECOND), (source, *firsts), strict=True)
            ]
            rows.append(_cut(tokenizer, whole, max_length))
        return rows


def _cut(tokenizer: Any, whole: Sequence[Sequence[int]], max_length: int) -> Encoded:
    """Cuts each text at its end, as the authors do; its last token, [SEP], stays."""
    room = min(len(whole[0]), max_length * LONGEST_SOURCE // LONGEST)
    rooms = (room, *[(max_length - room) // 2] * 2)
    parts = [
        ids if len(ids) <= most else [*ids[: most - 1], ids[-1]]
        for ids, most in zip(whole, rooms, strict=True)
    ]
    ids = tuple(token for part in parts for token in part)
    return Encoded(ids, len(ids) < sum(map(len, whole)))


def _as_source(prompt: Conversation, index: int) -> tuple[str, str]:
    """Returns the text of the prompt, and that before each candidate.

    Of a chat, the prompt is its user turns with blanks between them, and each candidate fills
    all blanks: the given assistant turns, then its own.
    """
    if len(prompt) == 1:
        return prompt[0].content, ""
    users, answers = prompt[0::2], prompt[1::2]
    roles = {m.role for m in users}, {m.role for m in answers}
    if roles != ({"user"}, {"assistant"}) or len(users) == len(answers):
        raise BadConversation(index, "PairRM takes user and assistant in turns, a user's turn last")
    asked = (f"USER: {m.content}\nAssistant: <Response {i}>" for i, m in enumerate(users, 1))
    given = (f"<Response {i}>: {m.content}\n" for i, m in enumerate(answers, 1))
    return CHAT + "\n".join(asked), "".join(given) + f"<Response {len(users)}>: "


class PairRMNetwork(nn.Module):
    """The body, and a two-layer head on the states of [source, candidate] of either candidate."""

    def __init__(self, config: Any, inner: int) -> None:
        super().__init__()
        self.config = config
        self.pretrained_model = AutoModel.from_config(config, dtype=config.dtype)
        self.head_layer = nn.Sequential(
            nn.Dropout(),  # the weights' names count it
            nn.Linear(2 * config.hidden_size, inner),
            nn.Tanh(),
            nn.Dropout(),
            nn.Linear(inner, config.n_tasks),
        ).to(config.dtype)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> SequenceClassifierOutput:
        """Returns how much better the first candidate is, (N,) log-odds."""
        states = self.pretrained_model(input_ids=input_ids, attention_mask=attention_mask)[0]
        source, first, second = (
            self._at(input_ids, states, marker)
            for marker in ("source_prefix_id", "cand1_prefix_id", "cand2_prefix_id")
        )  # (N, H) each
        left, right = (
            self.head_layer(torch.cat([source, candidate], -1)) for candidate in (first, second)
        )  # (N, tasks)
        return SequenceClassifierOutput(logits=(left - right).mean(-1))

    def _at(self, ids: Tensor, states: Tensor, marker: str) -> Tensor:
        """Returns the state of a marker's first place in each sequence."""
        places = (ids == getattr(self.config, marker)).int().argmax(-1)  # (N,)
        return states[torch.arange(len(ids), device=ids.device), places]
