"""Golden checkpoints that can read text, and what the doctor says of them."""

import transformers as hf
from checkpoints import copy_golden, edit_config
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

import rmeval
from rmeval.models.doctor.examination import check_model
from rmeval.records import Message, Preference

BYTES = sorted(pre_tokenizers.ByteLevel.alphabet())
SPECIALS = ("<pad>", "<s>", "</s>")
TURNS = "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}</s>{% endfor %}"
TEMPLATE = "{{ bos_token }}" + TURNS
PAIRS = tuple(
    Preference(
        str(number),
        "any",
        (Message("user", f"What is {number} and {number}?"),),
        (f"It is {2 * number}.", "Who knows? " * (1 + number % 4)),
    )
    for number in range(6)
)


def add_tokenizer(folder, template=TEMPLATE, **specials):
    """Bytes as tokens: every text becomes ids below 259, and comes back."""
    vocabulary = {token: index for index, token in enumerate([*SPECIALS, *BYTES])}
    tokenizer = Tokenizer(models.BPE(vocabulary, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    names = {"pad_token": "<pad>", "bos_token": "<s>", "eos_token": "</s>", **specials}
    fast = hf.PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names)
    fast.chat_template = template
    fast.save_pretrained(folder)


def readable(folder, layout="seqcls", template=TEMPLATE, **specials):
    """A copy of a golden checkpoint with that tokenizer and template."""
    copy_golden(layout, folder)
    edit_config(folder, remove=("auto_map", "rope_scaling"))  # AutoTokenizer stumbles on them
    add_tokenizer(folder, template, **specials)
    return folder


def load(folder, **options):
    return rmeval.load_model(str(folder), device="cpu", **{"dtype": "float32", **options})


def examine(folder, **options):
    return {check.name: check for check in check_model(load(folder, **options), PAIRS)}


def failed(checks):
    return [name for name, check in checks.items() if check.status == "fail"]


def warned(checks):
    return [name for name, check in checks.items() if check.status == "warn"]
