"""Conversations become token ids once, and are the ids that the model was trained with."""

import json
import shutil

import pytest
from checkpoints import TOKENIZER_FILES, copy_golden, edit_config
from conftest import DEMO_MODEL
from sentencepiece import SentencePieceProcessor

import rmeval
from rmeval.errors import BadCheckpoint, BadData
from rmeval.models.checkpoints.checkpoint import Checkpoint
from rmeval.models.text.specials import Specials
from rmeval.models.text.tokenizer import encode_conversations
from rmeval.models.text.tokenizer_files import load_tokenizer

pytestmark = pytest.mark.skipif(
    not (DEMO_MODEL / "tokenizer.model").exists(), reason="the demonstration model is not here"
)
TEXTS = [
    "",
    " ",
    "   three spaces before, and two after  ",
    "Hello! What's your name?",
    "two\nlines\n\n\nand a tab\t.",
    "\r\n",
    "你好，世界！",
    "naïve café, Straße, ﬁ, ①, Å",  # what a normaliser would rewrite
    "emoji 🎉👩‍👩‍👧 and a zero\u200bwidth space",
    "العربية עברית हिन्दी",
    "def f(x):\n    return x ** 2  # squared\n",
    "1234567890 + 0.5e-3 = ?",
    "▁ the piece for a space itself",
    "<0x0A> <unk is not special <s",
    "a" * 300,
    "\x00\x01\x7f",
    "\U0010ffff",
]
END = 4096  # <|reward|>


@pytest.fixture(scope="module")
def model():
    return rmeval.load_model("demo", device="cpu")


@pytest.fixture(scope="module")
def pieces():
    return SentencePieceProcessor(model_file=str(DEMO_MODEL / "tokenizer.model"))


@pytest.mark.parametrize("text", TEXTS)
def test_ids_are_sentencepieces_own(model, pieces, text):
    ids = model.tokenizer(text, add_special_tokens=False)["input_ids"]
    assert ids == pieces.encode(text)


def test_ids_of_real_conversations_are_sentencepieces_own(model, pieces):
    rows = (DEMO_MODEL.parent / "benchmark.jsonl").read_text(encoding="utf-8").splitlines()
    texts = [json.loads(row)[key] for row in rows for key in ("prompt", "chosen", "rejected")]
    assert len(texts) > 300
    ids = model.tokenizer(texts, add_special_tokens=False)["input_ids"]
    assert ids == [pieces.encode(text) for text in texts]


def test_a_conversation_is_its_special_tokens_and_sentencepieces_ids_between(model, pieces):
    ids = model.encode([{"role": "user", "content": "Hi."}, {"role": "assistant", "content": ""}])
    start, end, newline = 4102, 4101, pieces.encode("\n")
    user = [start, *pieces.encode("user\nHi."), end, *newline]
    assistant = [start, *pieces.encode("assistant\n"), end, *newline]
    assert ids == [1, *user, *assistant, END]


def test_a_special_token_written_in_the_text_is_that_token(model):
    ids = model.encode([{"role": "user", "content": "<|im_end|></s><|plugin|>"}])
    assert [token for token in ids if token in (2, 4097)] == [2, 4097]
    assert ids.count(4101) == 2  # the written one, and the template's


def test_decoding_gives_the_text_back(model):
    for text in TEXTS[1:12]:
        ids = model.tokenizer(text, add_special_tokens=False)["input_ids"]
        assert model.tokenizer.decode(ids) == text


def test_every_conversation_begins_with_one_bos_and_ends_with_one_end_token(model):
    for text in TEXTS:
        ids = model.encode([{"role": "user", "content": text}])
        assert ids.count(1) == 1
        assert ids.count(END) == 1
        assert (ids[0], ids[-1]) == (1, END)


def with_template(tmp_path, template):
    """The demonstration model's tokenizer on a tiny network, with another chat template."""
    folder = copy_golden("internlm2", tmp_path / "model")
    for name in TOKENIZER_FILES:
        shutil.copy(DEMO_MODEL / name, folder / name)
    edit_config(folder, reward_token_id=511)
    path = folder / "tokenizer_config.json"
    settings = {**json.loads(path.read_text()), "chat_template": template}
    path.write_text(json.dumps({k: v for k, v in settings.items() if v is not None}))
    return rmeval.load_model(str(folder), device="cpu")


def test_the_end_token_is_appended_only_where_the_template_does_not_write_it(model):
    class Tokenizer:
        chat_template = ""

        def apply_chat_template(self, messages, **options):
            return messages[0]["content"]

        def __call__(self, texts, **options):
            return {"input_ids": [list(map(int, text.split())) for text in texts]}

    conversations = [(message,) for message in map(user, ["5 6", "5 9", "9 5", ""])]
    ids = encode_conversations(Specials("template", Tokenizer()), conversations, 9)
    assert ids == [[5, 6, 9], [5, 9], [9, 5, 9], [9]]
    assert encode_conversations(Specials("template", Tokenizer()), conversations[:2], None) == [
        [5, 6],
        [5, 9],
    ]


def user(content):
    return rmeval.Message("user", content)


def test_a_conversation_that_the_template_refuses_is_bad_data(tmp_path):
    model = with_template(tmp_path, "{{ raise_exception('roles must alternate') }}")
    with pytest.raises(BadData, match=r"\(user, user\).*roles must alternate"):
        model.encode([{"role": "user", "content": "a"}, {"role": "user", "content": "b"}])


def test_a_tokenizer_without_a_template_says_where_to_put_one(tmp_path):
    model = with_template(tmp_path, None)
    with pytest.raises(BadCheckpoint, match=r"no chat template.*chat_template\.jinja"):
        model.score([[{"role": "user", "content": "a"}]])


def test_a_text_beyond_unicode_is_bad_data_and_no_crash(model):
    """Half of a surrogate pair: JSON can write it, UTF-8 and the tokenizer cannot."""
    with pytest.raises(BadData):
        model.score([[{"role": "user", "content": "half \ud83d"}]])


def test_a_conversation_that_renders_to_nothing_is_bad_data(tmp_path):
    from checkpoints import load_golden

    model = load_golden("seqcls")  # a family without an end token

    class Empty:
        bos_token_id, chat_template = 1, "{{ '' }}"

        def apply_chat_template(self, messages, **options):
            return ""

        def __call__(self, texts, **options):
            return {"input_ids": [[] for _ in texts]}

    folder = str(model.family.checkpoint.folder)
    fresh = rmeval.load_model(folder, device="cpu", checks=False)
    fresh.__dict__["tokenizer"] = Empty()
    with pytest.raises(BadData):
        fresh.score([[{"role": "user", "content": ""}]])


def test_without_a_tokenizer_token_ids_can_be_scored_and_text_says_why_not(tmp_path):
    model = rmeval.load_model(str(copy_golden("internlm2", tmp_path)), device="cpu")
    assert len(model.score_tokens([[1, 2, 3]])) == 1
    with pytest.raises(BadCheckpoint, match=r"no tokenizer.*score_tokens"):
        model.score([[{"role": "user", "content": "a"}]])


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("tokenizer.model", b"not a sentencepiece model"),
        ("tokenizer_config.json", b"{"),
        ("tokenizer_config.json", b"[]"),
    ],
)
def test_a_damaged_tokenizer_is_named(tmp_path, file, content):
    folder = copy_golden("internlm2", tmp_path / "model")
    for name in TOKENIZER_FILES:
        shutil.copy(DEMO_MODEL / name, folder / name)
    (folder / file).unlink()
    (folder / file).write_bytes(content)
    with pytest.raises(BadCheckpoint, match=file.replace(".", r"\.")):
        rmeval.load_model(str(folder), device="cpu").score([[{"role": "user", "content": "a"}]])


def test_a_damaged_tokenizer_json_is_refused(tmp_path):
    folder = copy_golden("seqcls", tmp_path / "model")
    (folder / "tokenizer.json").write_text('{"no": "tokenizer"}')
    (folder / "tokenizer_config.json").write_text(
        '{"tokenizer_class": "PreTrainedTokenizerFast", "chat_template": "x"}'
    )
    with pytest.raises(BadCheckpoint, match="tokenizer"):
        rmeval.load_model(str(folder), device="cpu").score([[{"role": "user", "content": "a"}]])


def test_an_end_token_outside_the_vocabulary_is_refused(tmp_path):
    """The tiny network knows 512 tokens, the demonstration's tokenizer 4103."""
    model = with_template(tmp_path, "{{ bos_token }}{{ messages[0]['content'] }}<|reward|>")
    with pytest.raises(rmeval.RmevalError, match=r"vocabulary|outside"):
        model.score([[{"role": "user", "content": "a"}]])


def test_a_template_of_ones_own_folder_is_the_one_that_is_used(tmp_path):
    checkpoint = Checkpoint("x", copy_golden("internlm2", tmp_path), None, {}, {}, ())
    for name in TOKENIZER_FILES:
        shutil.copy(DEMO_MODEL / name, tmp_path / name)
    (tmp_path / "tokenizer_config.json").write_text('{"chat_template": "{{ 1 + 1 }}"}')
    tokenizer = load_tokenizer(checkpoint.folder)
    assert tokenizer.apply_chat_template([{"role": "user", "content": "a"}], tokenize=False) == "2"
