"""POLAR: its text and ids as its authors' client makes them, its network as InternLM2-Reward's.

No weights of POLAR are here, and no tokenizer: its vocabulary is InternLM2-Reward's, and the ids of
polar-real.jsonl are of that one. Its network is InternLM2-Reward's, whose golden weights are here.
"""

import json
import shutil
from hashlib import sha256
from pathlib import Path

import pytest
from checkpoints import TOLERANCE, copy_golden, edit_config, load_golden
from readable import add_tokenizer, failed
from tokenizers import Tokenizer, processors

import rmeval
from rmeval.errors import BadCheckpoint, BadConversation, BadData, BadOption
from rmeval.evaluation import score_preferences
from rmeval.models.doctor.examination import check_model
from rmeval.models.load import load_scorer
from rmeval.records import Message, Preference, with_reference

REAL = Path(__file__).parents[1] / "golden_text" / "polar-real.jsonl"
CASES = [json.loads(line) for line in REAL.read_text().splitlines()]
LONG = "\n".join(
    f"{i}. The number {i * i} is the square of {i}; naïve café 你好 🎉." for i in range(1, 400)
)
LONG_CASES = {
    "long reference": ("Squares?", LONG, "1, 4, 9"),
    "long answer": ("Squares?", "1, 4, 9", LONG),
    "long prompt": (LONG, "1, 4, 9", "1, 8, 27"),
    "all long": (LONG, LONG, LONG[::-1]),
}
END = 511  # reward_token_id of the golden weights


def talk(prompt="Capital of China?", reference="Beijing.", answer="Shanghai."):
    asked = [Message("user", prompt)] if isinstance(prompt, str) else prompt
    return {
        "messages": [*asked, {"role": "assistant", "content": answer}],
        "reference": reference,
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """InternLM2-Reward's golden weights in a folder called POLAR, with bytes as tokens."""
    folder = copy_golden("internlm2", tmp_path_factory.mktemp("polar") / "POLAR-7B")
    edit_config(folder, remove=("auto_map",))
    add_tokenizer(folder)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", 1)]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


@pytest.fixture(scope="module")
def model(folder):
    return rmeval.load_model(folder, device="cpu")


@pytest.fixture(scope="module")
def real(shared, tmp_path_factory):
    """The real tokenizer; the network is small and scores nothing here."""
    folder = tmp_path_factory.mktemp("real") / "POLAR-7B"
    for part in ("golden/internlm2-text", "models/internlm2-1_8b-reward"):
        shutil.copytree(shared / part, folder, dirs_exist_ok=True)
    text = shared / "golden" / "internlm2-text" / "config.json"
    shutil.copy(text, folder / "config.json")
    (folder / "model.safetensors.index.json").unlink(missing_ok=True)
    return rmeval.load_model(folder, device="cpu", weights=False)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_ids_are_those_of_the_authors_client_with_the_real_tokenizer(real, case):
    given = LONG_CASES.get(case["name"]) or [
        case[part] for part in ("prompt", "reference", "answer")
    ]
    fitted = real.encode_fitted(talk(*given))
    ids = list(fitted.ids)
    assert ids == case.get("ids", ids)
    assert len(ids) == case["tokens"]
    assert sha256(json.dumps(ids).encode()).hexdigest() == case["sha256"]
    assert fitted.truncated == (case["name"] in LONG_CASES)


def test_the_text_is_the_prompt_with_the_reference_and_again_with_the_answer(model):
    ids = model.encode(talk())
    text = model.tokenizer.decode(ids[:-1])
    asked = "Capital of China?"
    assert text == f"<s>{asked}\nBeijing.<|reward|>{asked}\nShanghai."  # BOS once, as it adds it
    assert ids[-1] == END


def test_messages_are_joined_by_line_breaks_without_their_roles(model):
    prompt = [Message("system", "Brief."), Message("user", "Hi"), Message("assistant", "Yes?")]
    prompt += [Message("user", "Capital?")]
    reference = [{"role": "assistant", "content": "Bei"}, {"role": "assistant", "content": "jing"}]
    text = model.tokenizer.decode(model.encode(talk(prompt, reference))[1:-1])
    asked = "Brief.\nHi\nYes?\nCapital?"
    assert text == f"{asked}\nBei\njing<|reward|>{asked}\nShanghai."


def test_a_reward_is_that_of_internlm2s_network_for_the_same_ids(model):
    talks = [talk(answer=answer) for answer in ("Beijing.", "Shanghai.", "", "x" * 40)]
    rewards = load_golden("internlm2").score_tokens([model.encode(one) for one in talks])
    assert model.family.name == "polar"
    assert model.engine.packed
    assert model.score(talks) == pytest.approx(rewards, abs=TOLERANCE)
    assert len(set(rewards)) == 4


def test_the_prompt_is_cut_at_its_start_and_an_answer_at_its_end(folder):
    model = rmeval.load_model(folder, device="cpu", max_length=100)
    ids, truncated = model.encode_fitted(talk("a" * 60 + "bc", "r" * 9, "y" * 9))
    # a BOS counts: (100 - 4 - 10 - 10) // 2 = 38 of the prompt's last tokens
    asked = "a" * 36 + "bc"
    text = f"{asked}\n{'r' * 9}<|reward|>{asked}\n{'y' * 9}"
    assert truncated
    assert model.tokenizer.decode(list(ids[1:-1])) == text
    long = model.encode_fitted(talk("q", "r" * 30, "y" * 30))
    assert not long.truncated
    with pytest.raises(BadOption, match=r"leaves no room for a prompt.*at least 138"):
        model.encode(talk("q", "r" * 65, "y" * 65))


def test_answers_of_more_than_4096_tokens_lose_their_ends(model):
    ids = model.encode(talk("q", "r" * 5000, "y" * 5000))
    text = model.tokenizer.decode(ids[1:-1])
    assert text == f"q\n{'r' * 4095}<|reward|>q\n{'y' * 4095}"


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (talk(reference=""), "without a reference there is no score"),
        (talk(reference=" \n"), "not an empty one"),
        (talk(reference=None), 'give a text or messages as "reference"'),
        (talk(reference=["not", "messages"]), 'give a text or messages as "reference"'),
        ({"messages": [{"role": "user", "content": "x"}], "reference": "y"}, "not .user."),
        ({"messages": [{"role": "assistant", "content": "x"}], "reference": "y"}, "not .assist"),
    ],
)
def test_what_lacks_a_reference_or_an_answer_is_refused(model, given, reason):
    with pytest.raises(BadConversation, match=rf"conversation 1: .*{reason}"):
        model.score([talk(), given])


def test_what_holds_more_than_texts_is_refused(model):
    named = {"role": "assistant", "content": "x", "reasoning_content": "because"}
    with pytest.raises(BadConversation, match="POLAR reads texts only"):
        model.score([{"messages": [{"role": "user", "content": "x"}, named], "reference": "y"}])
    tools = {**talk(), "tools": [{"type": "function"}]}
    with pytest.raises(BadConversation, match="POLAR reads texts only"):
        model.score([tools])


def test_a_message_of_a_reference_must_be_one():
    with pytest.raises(BadData, match="reference: a message needs text"):
        rmeval.conversations.to_conversation([Message("user", "x")], "line 1", None, [{"role": 1}])


def test_rows_know_their_references_and_others_ignore_them(model):
    prompt = (Message("user", "Capital of China?"),)
    row = Preference("7", "any", with_reference(prompt, "Beijing."), ("Beijing.", "Shanghai."))
    bare = Preference("8", "any", prompt, row.responses)
    assert row.digest != bare.digest
    reader = load_golden("internlm2")
    assert reader.family.name == "internlm2"
    with pytest.raises(BadConversation, match=r"preference 8 \(any\), chosen response: POLAR"):
        score_preferences(model, [row, bare])
    scored = score_preferences(model, [row])
    wanted = model.score([talk(answer="Beijing."), talk()])
    assert [score.value for score in scored[0].scores] == wanted


def test_the_doctor_gives_a_reference_and_finds_polar_fit(model):
    checks = {check.name: check for check in check_model(model, [])}
    assert failed(checks) == []
    assert checks["contents"].status == "pass"
    assert checks["BOS"].finding == "'<s>' (1) once, as the tokenizer adds it"


def test_it_is_told_by_its_folder_its_configs_own_name_and_its_angles(tmp_path):
    folder = copy_golden("internlm2", tmp_path / "step-100")
    assert rmeval.load_model(folder, weights=False).family.name == "internlm2"
    assert rmeval.load_model(folder, weights=False, family="polar").family.name == "polar"
    edit_config(folder, _name_or_path="internlm/POLAR-1_8B")
    assert rmeval.load_model(folder, weights=False).family.name == "polar"
    angles = {"rope_theta": 50_000_000, "max_position_embeddings": 262_144}
    edit_config(folder, ("_name_or_path",), rope_scaling={"type": "dynamic", "factor": 2}, **angles)
    assert rmeval.load_model(folder, weights=False).family.name == "polar"
    with pytest.raises(BadCheckpoint, match="does not fit"):
        rmeval.load_model(folder, weights=False, family="internlm2")


def test_rows_that_are_known_to_lack_one_are_refused_before_any_weight_is_read(folder, monkeypatch):
    monkeypatch.setattr("rmeval.models.load.make_network", lambda *_, **__: pytest.fail("read"))
    with pytest.raises(BadCheckpoint, match=r"no score; rewardbench, row 3, has none$"):
        load_scorer(folder, {"device": "cpu", "without_reference": "rewardbench, row 3,"})
