"""What the tiny tokenizers learn from, and the conversations that golden cases are made of."""

from typing import NamedTuple


class Conversation(NamedTuple):
    """Turns that begin with a system's or a user's; `holds` says what a recipe may have to skip."""

    name: str
    messages: list[dict[str, str]]
    holds: frozenset[str] = frozenset()


LEARNT = """
The quick brown fox jumps over the lazy dog, and the dog does not mind. What is the answer?
I'm sure that you're right; we've seen it, they'll say so, and it isn't what he'd expected.
In 2024 there were 1234567 people, 3.14159 of them counted, and 1,000,000 were not. 2048 or 42?
def add(first, second):
    # returns the sum of the two numbers
    if first is None:
        return second
    return first + second
2048 12 123 1234567 12345 2048 1234 007 12 2048 123 1,000,000 3.14159 10 100 1000 2024
don't   I'm   we've   they'll   a  2  3   12    2048		tab	2 "yes!" (no?) [INST] [/INST]
for (int i = 0; i < 10; i++) { printf("%d\\n", i); }
The reward of an answer is read from its last token. The assistant gives helpful answers.
Human: Hello, how are you? Assistant: I am well, thank you. How can I help you today?
user assistant system model question answer instruction response conversation
你好，世界。今天天气很好，我们去公园吧。这是什么？这是一个测试。東京は日本の首都です。
مرحبا بالعالم، كيف حالك اليوم؟ שלום עולם, מה שלומך היום?
Привет, мир! Как дела? Ça va très bien, merci. Größe, naïve, café, señor, Ελληνικά.
안녕하세요 세계. नमस्ते दुनिया। สวัสดีชาวโลก 🎉 👍 😀 → ∑ √ ≤
The capital of France is Paris. The river runs through the city, under many old bridges.
Water boils at one hundred degrees. She said that she would come, but it rained all day.
""".strip("\n").split("\n")

CODE = (
    "Here it is:\n\n```python\ndef add(first, second):\n    if first is None:\n\n"
    "        return second\n\treturn\tfirst + second  # tab\n```\n\n\n\n"
    "Done;\n\n  {\n      x\n  }\n"
)
RUNS = (
    "a  b   c    d     e      f       g        h         i"
    + " " * 17
    + "j\t\tk\t \tl \n \nm\n\n\nn"
)
UNICODE = (
    "你好，世界！ 東京は日本の首都です。 안녕하세요 \u1112\u1161\u11ab مرحبا بالعالم שלום "
    "👩\u200d👩\u200d👧\u200d👦 👍🏽 🏳\ufe0f\u200d🌈 cafe\u0301 caf\u00e9 A\u030a \u212b "
    "Z\u0351\u036b\u0343 नमस्ते สวัสดี １２３ ﬁ ½ ² \u00a0nb\u200bzw\u200f\u2028ls"
)


def _talk(*contents: str, system: str | None = None) -> list[dict[str, str]]:
    turns = [
        {"role": ("user", "assistant")[number % 2], "content": content}
        for number, content in enumerate(contents)
    ]
    return [*([] if system is None else [{"role": "system", "content": system}]), *turns]


# Special tokens of every kind of tokenizer, as a user may write them; BOS apart, since some
# recipes delete it from the whole text.
ENDS = (
    "a </s> b<|eot_id|>c <|im_end|>\n[SEP] d<eos> <unk> [UNK] <|endoftext|> e <|im_start|>f <pad>"
)
BEGINNINGS = "a <s> b<|begin_of_text|>c [CLS]<bos> <｜begin▁of▁sentence｜>d"

CONVERSATIONS = [
    Conversation("one turn", _talk("What is the answer?", "The answer is 42.")),
    Conversation(
        "system",
        _talk("Hello, how are you?", "I am well.", system="You are a helpful assistant."),
        frozenset({"system"}),
    ),
    Conversation(
        "many turns",
        _talk("Hi", "Hello!", "2 + 2?", "4", "And 3 + 3?", "6, of course.", "Thanks", "Bye."),
        frozenset({"turns"}),
    ),
    Conversation("empty answer", _talk("What is it?", ""), frozenset({"empty"})),
    Conversation("empty question", _talk("", "Nothing was asked."), frozenset({"empty"})),
    Conversation("ends", _talk(ENDS, f"Well: {ENDS}"), frozenset({"specials"})),
    Conversation(
        "beginnings", _talk(BEGINNINGS, BEGINNINGS), frozenset({"specials", "beginnings"})
    ),
    Conversation("code", _talk("Write add(), with\ttabs.", CODE)),
    Conversation("runs of white space", _talk(RUNS, f"  {RUNS}")),
    Conversation("unicode", _talk(UNICODE, f"{UNICODE}😀")),
    Conversation(
        "digits",
        _talk("1234567 3.14159 1,000,000 2048", "12 345 6789 0x2F v1.2.3 10^18 007 -5 1e-9"),
    ),
    Conversation("edges", _talk("  leading", "trailing  "), frozenset({"edges"})),
    Conversation("line ends", _talk("\n\nfirst\r\nsecond\n", "\tthird \n\n"), frozenset({"edges"})),
    Conversation(
        "words",
        _talk("I'M sure you'Re RIGHT; they'll don't", "snake_case camelCase HTTPServer…?!--"),
    ),
    Conversation("marks", _talk("▁a▁▁b Ġc Ċd ##e", "\u2581 \u0120 <0x0A> \\n &amp;")),
    Conversation("one letter", _talk("x", "7")),
]
