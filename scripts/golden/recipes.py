"""From messages to the text given to a tokenizer and to its ids, as each model's authors do it.

Where a recipe was read is beside it; `memory` marks what was not found to be read again.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

Messages = list[dict[str, str]]
Made = tuple[str, list[int]]


class Recipe(NamedTuple):
    """`specials` is the policy in one word; `by_name` says that only a model's name tells it."""

    specials: str
    make: Callable[[Any, Messages], Made]
    source: str
    skip: frozenset[str] = frozenset()
    by_name: bool = False
    memory: bool = False


def render(tokenizer: Any, messages: Messages) -> str:
    text: str = tokenizer.apply_chat_template(messages, tokenize=False)
    return text


def template_alone(tokenizer: Any, messages: Messages) -> Made:
    return render(tokenizer, messages), tokenizer.apply_chat_template(messages, tokenize=True)


def tokenizer_adds(tokenizer: Any, messages: Messages) -> Made:
    text = render(tokenizer, messages)
    return text, tokenizer(text)["input_ids"]


def one_stripped(tokenizer: Any, messages: Messages) -> Made:
    text = render(tokenizer, messages)
    if tokenizer.bos_token is not None and text.startswith(tokenizer.bos_token):
        text = text[len(tokenizer.bos_token) :]
    return text, tokenizer(text)["input_ids"]


def all_deleted(tokenizer: Any, messages: Messages) -> Made:
    text = render(tokenizer, messages).replace(tokenizer.bos_token, "")
    return text, tokenizer(text)["input_ids"]


def masked(tokenizer: Any, messages: Messages) -> Made:
    """RewardBench masks the first of two BOS: the model sees what is after it."""
    text, ids = tokenizer_adds(tokenizer, messages)
    bos = tokenizer.bos_token_id
    return text, ids[1:] if ids[:2] == [bos, bos] else ids


def two_texts(tokenizer: Any, messages: Messages) -> Made:
    question, answer = (message["content"] for message in messages)
    return render(tokenizer, messages), tokenizer(question, answer)["input_ids"]


def _formatted(template: str) -> Callable[[Any, Messages], Made]:
    """A text with places for one question and its answer, given to the tokenizer."""

    def make(tokenizer: Any, messages: Messages) -> Made:
        text, ids = tokenizer_adds(tokenizer, messages)
        if [message["role"] for message in messages] == ["user", "assistant"]:
            question, answer = (message["content"] for message in messages)
            own = template.format(question=question, answer=answer, end=tokenizer.eos_token)
            assert text == own, (text, own)
        return text, ids

    return make


ONE_TURN = frozenset({"system", "turns"})
RECIPES = {
    "plain": Recipe(
        "template",
        template_alone,
        "transformers' own recipe: apply_chat_template(messages, tokenize=True)",
    ),
    "pad is end": Recipe(
        "template",
        template_alone,
        "TRL's RewardTrainer takes the end token for padding where a tokenizer has none; "
        "transformers' class then reads the last token that is not it",
    ),
    "plain text": Recipe(
        "tokenizer", tokenizer_adds, "a text without special tokens: tokenizer(text)"
    ),
    "skywork-v0.1": Recipe(
        "tokenizer",
        tokenizer_adds,
        "SkyworkAI/Skywork-Reward, README, Demo Code: the chat template has no BOS; "
        "apply_chat_template(tokenize=False), then tokenizer(text)",
    ),
    "skywork-v0.2": Recipe(
        "template",
        template_alone,
        "model card of Skywork-Reward-Llama-3.1-8B-v0.2: apply_chat_template(tokenize=True)",
    ),
    "skywork-v2": Recipe(
        "once",
        one_stripped,
        "SkyworkAI/Skywork-Reward-V2, README: one bos_token that begins the text is removed, then "
        "tokenizer(text)",
    ),
    "fsfairx": Recipe(
        "once",
        all_deleted,
        "RLHFlow/RLHF-Reward-Modeling, bradley-terry-rm/README.md; card of Llama-3-OffsetBias-RM-8B"
        ": .replace(bos_token, '') on the text, then transformers' pipeline, which adds BOS",
        frozenset({"beginnings"}),
    ),
    "rewardbench": Recipe(
        "once",
        masked,
        "allenai/reward-bench, rewardbench/models/pipeline.py: tokenizer(text); of two BOS the "
        "first gets attention 0",
    ),
    "grm": Recipe(
        "tokenizer",
        tokenizer_adds,
        "YangRui2015/Generalizable-Reward-Model, reward_models/load_datasets.py and "
        "rm_eval/load_eval_datasets.py; cards of Ray2333/GRM-*: encode_plus of the rendered text, "
        "so two BOS (issue 6 there)",
        by_name=True,
    ),
    "inf-orm": Recipe(
        "template", template_alone, "infly/INF-ORM-Llama3.1-70B, card: tokenize=True"
    ),
    "nemotron": Recipe(
        "template",
        template_alone,
        "nvidia/Llama-3.1-Nemotron-70B-Reward-HF, card: tokenize=True, add_generation_prompt=False,"
        " generate(max_new_tokens=1), scores[0][0][0]",
    ),
    "urm": Recipe(
        "tokenizer",
        tokenizer_adds,
        "LxzGordon/URM-LLaMa-3.1-8B, card: the rendered text to the tokenizer; its template is "
        "taken for that of Skywork-Reward v0.1, which it was trained from: without BOS",
        memory=True,
    ),
    "ultrarm": Recipe(
        "tokenizer",
        _formatted("Human: {question}\n\nAssistant: {answer}"),
        "openbmb/UltraRM-13b, card: the text to LlamaTokenizer, which adds <s>",
        frozenset({"system"}),
    ),
    "eurus": Recipe(
        "tokenizer",
        _formatted("[INST] {question} [\\INST] {answer}"),
        "openbmb/Eurus-RM-7b, card, and OpenBMB/Eurus issue 10: tokenizer(text)",
        ONE_TURN,
    ),
    "beaver": Recipe(
        "tokenizer",
        _formatted("BEGINNING OF CONVERSATION: USER: {question} ASSISTANT:{answer}{end}"),
        "PKU-Alignment/safe-rlhf, safe_rlhf/datasets/preference.py: tokenize(prompt + answer + "
        "eos_token)",
        frozenset({"system"}),
    ),
    "beaver-card": Recipe(
        "tokenizer",
        _formatted("BEGINNING OF CONVERSATION: USER: {question} ASSISTANT:{answer}"),
        "PKU-Alignment/beaver-7b-v1.0-reward, card: tokenizer(text), nothing after the answer",
        frozenset({"system"}),
    ),
    "starling": Recipe(
        "tokenizer",
        tokenizer_adds,
        "allenai/reward-bench, rewardbench/models/starling.py and scripts/configs/"
        "eval_configs.yaml: Yi-34B-Chat's tokenizer (which adds none: memory) and FastChat's text",
        memory=True,
    ),
    "bert": Recipe(
        "tokenizer", tokenizer_adds, "tokenizer(text): [CLS] text [SEP], as for any BERT classifier"
    ),
    "deberta": Recipe(
        "tokenizer",
        two_texts,
        "OpenAssistant/reward-model-deberta-v3-large-v2, card: tokenizer(question, answer)",
        ONE_TURN | {"empty"},  # to transformers an empty second text is none: one [SEP], not two
        memory=True,
    ),
}
