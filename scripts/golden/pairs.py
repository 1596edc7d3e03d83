"""What is not one text with one score: DPO, and models that compare two responses."""

from pathlib import Path
from typing import Any

import kinds
import networks
import recipes
import templates
import torch
from conversations import CONVERSATIONS, Conversation
from folders import OUT, chosen, fresh, write_recipe, write_rows

OTHER = "I would rather say:\n  nothing 123  é"  # the second response of every pair
CONTEXT = (  # RLHFlow's tokenizer_plain.chat_template
    "\n{% for message in messages %}{% if loop.index0 % 2 == 0 %}\n\n<turn> user\n "
    "{{ message['content'] }}{% else %}\n\n<turn> assistant\n {{ message['content'] }}{% endif %}"
    "{% endfor %}\n\n\n"
)
QUESTION = "[CONTEXT] {context} [RESPONSE A] {first} [RESPONSE B] {second} \n"
DPO = recipes.Recipe(
    "template",
    recipes.template_alone,
    "score: allenai/reward-bench, rewardbench/dpo.py, get_batch_logps, policy minus reference. "
    "text: the chat template's; the response is what follows the prompt with its generation "
    "prompt. `rewardbench` holds that file's own tokenize_row: BOS before the prompt, a second one "
    "where the template writes it, the assistant's header in the response, and an end token",
)
PAIR_PM = recipes.Recipe(
    "none",
    recipes.all_deleted,
    "RLHFlow/RLHF-Reward-Modeling, pair-pm/README.md: .replace(bos_token, ''), "
    "add_special_tokens=False; P(A) = e^A / (e^A + e^B)",
    frozenset({"beginnings", "system"}),
)
PAIRRM = recipes.Recipe(
    "tokenizer",
    recipes.tokenizer_adds,
    "allenai/reward-bench, rewardbench/models/pairrm.py: tokenize_pair, tokenize_conv_pair",
    frozenset({"system"}),
)


def _prompt_and_answer(talk: Conversation) -> tuple[recipes.Messages, str]:
    return talk.messages[:-1], talk.messages[-1]["content"]


def _write(folder: Path, recipe: recipes.Recipe, rows: list[dict[str, Any]]) -> None:
    write_rows(folder, rows)
    write_recipe(folder, recipe)


def _worth(models: list[Any], prompt: list[int], response: list[int]) -> float:
    """Returns what the response is worth under the first model and not under the second."""
    logps = networks.rewardbench("dpo").DPOInference.get_batch_logps
    ids = torch.tensor([[*prompt, *response]])
    labels = torch.tensor([[-100] * len(prompt) + response])
    with torch.no_grad():
        policy, reference = (
            logps(model(ids, attention_mask=torch.ones_like(ids)).logits, labels)
            for model in models
        )
    return float(policy - reference)


def _as_rewardbench(tokenizer: Any, talk: Conversation) -> tuple[list[int], list[int]]:
    """RewardBench's own prompt and response (truncation aside, which needs 2,048 tokens)."""
    dpo = networks.rewardbench("dpo")
    inference = dpo.DPOInference.__new__(dpo.DPOInference)
    inference.tokenizer, inference.is_encoder_decoder = tokenizer, False
    inference.label_pad_token_id, inference.truncation_mode = -100, "keep_end"
    inference.max_prompt_length, inference.max_length = 128, 2048
    text = recipes.render(tokenizer, talk.messages)
    feature = {"prompt": recipes.render(tokenizer, talk.messages[:-1])}
    row = inference.tokenize_row({**feature, "text_chosen": text, "text_rejected": text})
    ids, labels = row["chosen_input_ids"], row["chosen_labels"]
    begins = labels.count(-100)
    return ids[:begins], ids[begins:]


def dpo() -> None:
    """A policy with its tokenizer, and the model that it was trained from, without one."""
    folder = OUT / "dpo"
    tokenizer = fresh(folder / "policy", kinds.llama3, templates.LLAMA_3)
    (folder / "reference").mkdir(exist_ok=True)
    models = [
        networks.write("causal", folder / part, seed=seed)
        for part, seed in (("policy", 1), ("reference", 2))
    ]
    rows = []
    for talk in CONVERSATIONS:
        text, ids = DPO.make(tokenizer, talk.messages)
        prompt = tokenizer.apply_chat_template(
            talk.messages[:-1], tokenize=True, add_generation_prompt=True
        )
        assert ids[: len(prompt)] == prompt
        response = ids[len(prompt) :]
        theirs = _as_rewardbench(tokenizer, talk)
        row: dict[str, Any] = {"name": talk.name, "messages": talk.messages}
        row |= {"text": text, "ids": ids}
        row |= {"prompt_tokens": len(prompt), "score": _worth(models, prompt, response)}
        bench: dict[str, Any] = {"prompt_ids": theirs[0], "response_ids": theirs[1]}
        rows.append({**row, "rewardbench": {**bench, "score": _worth(models, *theirs)}})
    _write(folder, DPO, rows)


def pair_pm() -> None:
    """A language model that says "A" or "B"; both orders of every pair."""
    folder = OUT / "pair-pm"
    tokenizer = fresh(folder, kinds.llama3, templates.LLAMA_3)
    model = networks.write("causal", folder)
    a, b = (tokenizer.encode(letter, add_special_tokens=False) for letter in "AB")
    assert len(a) == len(b) == 1
    rows = []
    for talk in chosen(PAIR_PM):
        prompt, answer = _prompt_and_answer(talk)
        context = tokenizer.apply_chat_template(prompt, chat_template=CONTEXT, tokenize=False)
        for first, second in ((answer, OTHER), (OTHER, answer)):
            question = QUESTION.format(context=context, first=first, second=second)
            text = recipes.render(tokenizer, [{"role": "user", "content": question}])
            text = text.replace(tokenizer.bos_token, "")
            ids = tokenizer.encode(text, add_special_tokens=False)
            with torch.no_grad():
                logits = model(torch.tensor([ids])).logits[0, -1].double()
            score = torch.softmax(logits[[a[0], b[0]]], 0)[0]
            row = {"name": talk.name, "messages": prompt, "first": first, "second": second}
            rows.append({**row, "text": text, "ids": ids, "score": float(score)})
    _write(folder, PAIR_PM, rows)


def pairrm() -> None:
    """DeBERTa over a prompt and two responses, each with [CLS] and [SEP] of its own."""
    folder = OUT / "pairrm"
    tokenizer = fresh(folder, kinds.pairrm, "")
    (folder / "chat_template.jinja").unlink()
    markers = ("<|source|>", "<|candidate1|>", "<|candidate2|>", "<|candidate|>")
    names = ("source_prefix_id", "cand1_prefix_id", "cand2_prefix_id", "cand_prefix_id")
    places = dict(zip(names, tokenizer.convert_tokens_to_ids(markers), strict=True))
    model = networks.write("pairrm", folder, **places, sep_token_id=tokenizer.sep_token_id)
    theirs = networks.rewardbench("models/pairrm")
    rows = []
    for talk in chosen(PAIRRM):
        prompt, answer = _prompt_and_answer(talk)
        for first, second in ((answer, OTHER), (OTHER, answer)):
            if len(prompt) == 1:
                encoded = theirs.tokenize_pair(tokenizer, [prompt[0]["content"]], [first], [second])
            else:
                ends = (
                    [*prompt, {"role": "assistant", "content": last}] for last in (first, second)
                )
                encoded = theirs.tokenize_conv_pair(tokenizer, *([end] for end in ends))
            ids = encoded["input_ids"][0][encoded["attention_mask"][0].bool()].tolist()
            score = 1 / (1 + torch.tensor(-networks.score("pairrm", model, ids)).double().exp())
            row = {"name": talk.name, "messages": prompt, "first": first, "second": second}
            rows.append({**row, "text": None, "ids": ids, "score": float(score)})
    _write(folder, PAIRRM, rows)
