"""How a DPO model reads conversations: where the response begins, what is cut, what is refused."""

import json
from shutil import copytree

import language_models
import pytest
from checkpoints import edit_config
from conftest import DEMO_MODEL
from language_models import log_probability, write_pair
from readable import PAIRS, add_tokenizer
from tokenizers import Regex, Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from rmeval.errors import BadCheckpoint, BadConversation
from rmeval.evaluation import scoring_provenance, store_settings
from rmeval.models.doctor.examination import check_model
from rmeval.models.dpo.responses import ResponseReader, plain
from rmeval.models.text.specials import Specials
from rmeval.models.text.tokenizer import render
from rmeval.models.text.tokenizer_files import load_tokenizer
from rmeval.records import Message, Preference

CHAT = (Message("user", "Tea or coffee?"), Message("assistant", "Tea, twice."))
TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}<|{{ m.role }}|>{{ m.content }}</s>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
TURNS = "{% for m in messages %}{{ m.role }}:{{ m.content }}{% endfor %}"


def write_readable_pair(folder, template=TEMPLATE):
    """A policy and a reference that read text: bytes are tokens."""
    pair = write_pair(folder, vocab_size=300, max_position_embeddings=2048)
    for model in pair:
        add_tokenizer(model, template)
    return pair


def load(pair, **options):
    return language_models.load(*pair, **options)


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    return write_readable_pair(tmp_path_factory.mktemp("readable"))


@pytest.fixture(scope="module")
def model(pair):
    return load(pair)


def response_of(model, conversation):
    """The text of the tokens that are scored."""
    return model.tokenizer.decode([~id for id in model.sequence(conversation) if id < 0])


def test_the_response_is_what_the_template_writes_after_the_generation_prompt(model):
    assert response_of(model, CHAT) == "Tea, twice.</s>"
    longer = (Message("system", "Be brief."), *CHAT, Message("user", "Why?"), CHAT[1])
    assert response_of(model, longer) == "Tea, twice.</s>"
    assert response_of(model, (CHAT[0], Message("assistant", ""))) == "</s>"


def test_a_conversations_reward_is_worked_from_its_ids_and_the_response_alone(model, pair):
    ids = model.encode(CHAT)
    assert model.tokenizer.decode(ids).startswith("<s><|user|>Tea or")
    cut = len(ids) - len("Tea, twice.") - 1
    worked = [log_probability(folder, ids[:cut], ids[cut:]) for folder in pair]
    assert model.score([CHAT]) == pytest.approx([worked[0] - worked[1]], abs=1e-4, rel=0)
    scored = model.score_conversations([CHAT])[0]
    assert (scored.tokens, scored.truncated) == (len(ids), False)


def test_a_response_that_begins_as_the_header_ends_is_not_swallowed(pair):
    """What is common to the texts with and without the response ends where the prompt does."""
    model = load(pair)
    assert response_of(model, (CHAT[0], Message("assistant", "<|assistant|>"))) == (
        "<|assistant|></s>"
    )


def test_a_template_without_generation_prompt_leaves_the_header_to_the_response(tmp_path):
    model = load(write_readable_pair(tmp_path, TURNS))
    assert response_of(model, CHAT) == "assistant:Tea, twice."


def test_special_tokens_within_a_text_are_read_as_the_tokenizer_reads_them(model):
    talk = (Message("user", "a</s><pad>"), Message("assistant", "b</s> ñ 你好"))
    text = render(model.tokenizer, talk, 0)
    assert model.encode(talk) == model.tokenizer(text, add_special_tokens=False)["input_ids"]
    assert model.read([talk]) == [model.encode(talk)]


def test_a_real_tokenizer_gives_its_own_ids_and_the_boundary():
    tokenizer = load_tokenizer(DEMO_MODEL)
    tokenizer.chat_template = TEMPLATE
    reader = ResponseReader(Specials("template", tokenizer), DEMO_MODEL)
    talks = [talk for row in PAIRS for talk in row.conversations()]
    for row, talk in zip(reader.read(talks), talks, strict=True):
        text = render(tokenizer, talk, 0)
        assert plain(row) == tokenizer(text, add_special_tokens=False)["input_ids"]
        answer = tokenizer.decode([~id for id in row if id < 0])
        assert answer.strip() == f"{talk[-1].content}</s>".strip()


def test_a_token_that_crosses_the_boundary_is_the_responses(tmp_path):
    """ "A:" and a response's first space are one token, whose offsets would say it ends before."""
    pieces = ["A: ", "A:", "Tea", "x", "7", "y"]
    vocabulary = {"<unk>": 0}
    for piece in pieces:
        coded = pre_tokenizers.ByteLevel(False, use_regex=False).pre_tokenize_str(piece)
        vocabulary[coded[0][0]] = len(vocabulary)
    tokenizer = Tokenizer(models.WordLevel(vocabulary, "<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex("A: |A:|Tea|[x7y]"), "isolated"),
            pre_tokenizers.ByteLevel(False, use_regex=False),
        ]
    )
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=True)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>")
    fast.chat_template = (
        "{% for m in messages %}{{ 'A:' if m.role == 'assistant' else '' }}{{ m.content }}"
        "{% endfor %}{{ 'A:' if add_generation_prompt else '' }}"
    )
    reader = ResponseReader(Specials("template", fast), tmp_path)
    plainly = (Message("user", "Tea"), Message("assistant", "y"))
    spaced = (Message("user", "Tea"), Message("assistant", " y"))
    assert reader.read([plainly, spaced]) == [[3, 2, ~6], [3, ~1, ~6]]


@pytest.mark.parametrize(
    "talk",
    [
        CHAT[:1],
        CHAT[1:],
        (*CHAT, Message("user", "Sure?")),
        (Message("system", "x"),),
    ],
)
def test_what_is_no_answer_to_a_prompt_is_refused_and_named(model, talk):
    with pytest.raises(BadConversation, match="a DPO reward is of an assistant's answer") as error:
        model.score([CHAT, talk])
    assert error.value.index == 1


def test_a_prompt_that_the_template_does_not_write_is_refused(tmp_path):
    template = "{% for m in messages %}{{ m.content }}{% endfor %}"
    model = load(write_readable_pair(tmp_path, template))
    with pytest.raises(BadConversation, match="writes no prompt before the response"):
        model.encode((Message("user", ""), CHAT[1]))


@pytest.mark.parametrize(
    "template",
    [
        "<s>{% for m in messages | reverse %}{{ m.content }};{% endfor %}",
        "<s>{% for m in messages %}{% if m.role == 'user' %}{{ m.content }}{% endif %}{% endfor %}",
    ],
    ids=["the response first", "no response"],
)
def test_a_template_that_does_not_tell_them_apart_is_refused(tmp_path, template):
    model = load(write_readable_pair(tmp_path, template))
    with pytest.raises(BadCheckpoint, match="does not write the response after the prompt"):
        model.score([CHAT])


def test_a_tokenizer_that_knows_no_places_is_refused(tmp_path):
    class Slow:
        is_fast = False

    with pytest.raises(BadCheckpoint, match=r"add a tokenizer\.json"):
        ResponseReader(Specials("template", Slow()), tmp_path)


def test_a_long_prompt_is_cut_and_the_response_stays(pair):
    model = load(pair, max_length=40)
    long = (Message("user", "tea " * 50 + "or coffee?"), CHAT[1])
    ids, truncated = model.encode_fitted(long)
    assert (len(ids), truncated) == (40, True)
    assert model.tokenizer.decode(ids[:9]) == "<s><|user|>"
    assert model.tokenizer.decode(ids).endswith("<|assistant|>Tea, twice.</s>")
    assert response_of(model, long) == "Tea, twice.</s>"


def test_a_response_that_alone_does_not_fit_keeps_its_end(pair):
    model = load(pair, max_length=40)
    long = (CHAT[0], Message("assistant", "and " * 50 + "so on"))
    ids, truncated = model.encode_fitted(long)
    assert (len(ids), truncated) == (40, True)
    assert response_of(model, long).endswith("and so on</s>")
    assert len(response_of(model, long).replace("</s>", "")) == 40 - 9 - 1  # after the head


def test_per_token_of_a_response_without_tokens_is_refused_and_named(tmp_path):
    pair = write_readable_pair(tmp_path, TURNS.replace("{{ m.role }}:", ""))
    talks = [CHAT, (CHAT[0], Message("assistant", ""))]
    assert load(pair).score(talks)[1] == 0
    with pytest.raises(BadConversation, match="no tokens to divide by") as error:
        load(pair, per_token=True).score(talks)
    assert error.value.index == 1


def test_another_tokenizer_of_the_reference_is_refused_but_another_template_is_not(tmp_path):
    policy, reference = write_readable_pair(tmp_path)
    add_tokenizer(reference, "{{ 'nothing alike' }}")
    assert len(load((policy, reference)).score([CHAT])) == 1
    file = reference / "tokenizer.json"
    content = json.loads(file.read_text())
    vocabulary = content["model"]["vocab"]
    vocabulary["a"], vocabulary["b"] = vocabulary["b"], vocabulary["a"]
    file.write_text(json.dumps(content))
    with pytest.raises(BadCheckpoint, match="has another tokenizer: it gives other ids"):
        load((policy, reference)).score([CHAT])
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (reference / name).unlink()
    assert len(load((policy, reference)).score([CHAT])) == 1


def test_without_a_tokenizer_only_ids_are_scored(tmp_path):
    model = load(write_pair(tmp_path))
    assert len(model.score_tokens([([1], [2])])) == 1
    with pytest.raises(BadCheckpoint, match="no tokenizer"):
        model.score([CHAT])


def test_provenance_names_both_and_the_fingerprint_is_of_both(pair, tmp_path):
    model, alone = load(pair), load((pair[0], "none"))
    said = model.provenance()
    assert said["reference"]["name"] == str(pair[1])
    assert said["reference"]["revision"] is None
    assert (
        said["reference"]["fingerprint"]
        == load((pair[1], "none")).provenance()["policy_fingerprint"]
    )
    assert (said["family"], said["per_token"], said["specials"]["bos"]) == ("dpo", False, 1)
    assert alone.provenance()["reference"] is None
    assert said["policy_fingerprint"] == alone.provenance()["policy_fingerprint"]
    means = load(pair, per_token=True)
    assert len({m.fingerprint for m in (model, alone, means)}) == 3


def test_the_key_of_a_store_is_not_what_a_reference_is_called(pair, tmp_path):
    renamed = copytree(pair[1], tmp_path / "renamed")
    keys = [
        store_settings(scoring_provenance(load((pair[0], reference))))
        for reference in (pair[1], renamed, "none")
    ]
    assert keys[0] == keys[1] != keys[2]


@pytest.mark.parametrize("options", [{}, {"per_token": True}, {"dtype": "bfloat16"}])
def test_the_doctor_finds_them_sound(pair, options):
    checks = {check.name: check for check in check_model(load(pair, **options), PAIRS)}
    assert [check for check in checks.values() if check.status == "fail"] == []
    assert checks["end token"].finding == "the response ends in '</s>' (2)"
    assert checks["weights"].finding.startswith("42 tensors")
    assert {checks[name].status for name in ("alone = batch", "alone = packed")} == {"pass"}
    assert checks["left padding"].status != "skipped"
    float32 = checks["float32"].status
    assert (float32 == "skipped") == ("dtype" not in options)


def test_the_arithmetic_counts_both_and_the_vocabulary_for_responses_alone(pair):
    model = load(pair, weights=False)
    row = Preference("1", "s", CHAT[:1], (CHAT[1].content, "Tea, thrice."))
    talks = row.conversations()
    texts, tokens, passes, flops, *_ = model.plan([row])
    assert texts == 2
    first, second = (model.sequence(talk) for talk in talks)
    shared = next(i for i, (a, b) in enumerate(zip(first, second, strict=False)) if a != b)
    assert (tokens, passes) == (len(first) + len(second), [len(first) + len(second) - shared])
    # q, k, v, o of 4 heads on 2, hidden 32; feed-forward 48; two layers
    body = 2 * (2 * 32 * 32 + 2 * 16 * 32 + 3 * 32 * 48)
    scored = len("Tea, twice.") + 1 + len("rice.") + 1 + 1  # "Tea, t" is shared, "h" is not
    assert flops == 2 * 2 * (passes[0] * body + scored * 300 * 32)


def test_a_context_of_its_own_bounds_the_length(tmp_path):
    pair = write_readable_pair(tmp_path)
    edit_config(pair[1], max_position_embeddings=64)
    assert load(pair).max_length == 64
