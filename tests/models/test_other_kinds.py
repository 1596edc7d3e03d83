"""Models of another kind that share a reward model's layout: refused by what they are."""

import pytest
import torch
from checkpoints import copy_golden, edit_config, read_tensors, write_tensors

from rmeval.errors import BadCheckpoint
from rmeval.load_options import LoadOptions
from rmeval.models.checkpoints.checkpoint import Checkpoint, open_checkpoint
from rmeval.models.families import detect_family
from rmeval.models.load import load_scorer

POLAR = {
    "rope_theta": 50_000_000,
    "max_position_embeddings": 262_144,
    "rope_scaling": {"type": "dynamic", "factor": 2.0},
    "reward_token_id": 63,
}


def refusal(folder, **options):
    with pytest.raises(BadCheckpoint) as error:
        load_scorer(folder, LoadOptions(device="cpu", **options))
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("name", ["polarity", "internlm2-20b-reward"])
def test_a_name_like_polars_is_not_polars(tmp_path, name):
    folder = copy_golden("internlm2", tmp_path / name)
    edit_config(folder, rope_scaling=POLAR["rope_scaling"])
    assert detect_family(open_checkpoint(str(folder))).name == "internlm2"


PROCESS = [
    ("Qwen2ForProcessRewardModel", {"score.0.weight": (4, 4), "score.2.weight": (2, 4)}),
    ("Qwen2ForPrmModel", {"v_head.summary.weight": (1, 4), "v_head.summary.bias": (1,)}),
    ("LlamaForPRM", {"v_head.summary.0.weight": (4, 4), "v_head.summary.2.weight": (1, 4)}),
]


@pytest.mark.parametrize(("architecture", "shapes"), PROCESS)
@pytest.mark.parametrize("family", ["grm", "inf-orm"])
def test_a_process_reward_model_is_refused_by_its_class(tmp_path, architecture, shapes, family):
    folder = copy_golden("seqcls", tmp_path / "model")
    edit_config(folder, architectures=[architecture])
    write_tensors(folder, {**read_tensors(folder), **{k: torch.ones(s) for k, s in shapes.items()}})
    message = refusal(folder)
    assert f"'{architecture}'" in message
    assert "is a process reward model by its class: it scores the steps" in message
    assert "does not fit" in refusal(folder, family=family)


@pytest.mark.parametrize(
    "name",
    [
        "infly/Universal-PRM-7B",
        "Skywork/Skywork-o1-Open-PRM-Qwen-2.5-7B",
        "peiyi9979/math-shepherd-mistral-7b-prm",
        "PRIME-RL/EurusPRM-Stage2",
        "UW-Madison-Lee-Lab/VersaPRM",
        "RLHFlow/Llama3.1-8B-PRM-Deepseek-Data",
    ],
)
def test_a_process_reward_model_is_refused_by_its_name(tmp_path, name):
    config = {"architectures": ["Qwen2ForRewardModel"], "model_type": "qwen2"}
    shapes = {"score.0.weight": (4, 4), "score.2.weight": (1, 4)}
    with pytest.raises(BadCheckpoint, match=r"by its name.*pass `family=`"):
        detect_family(Checkpoint(name, tmp_path, None, config, shapes, ()))
    for plain in ("some-lab/supreme-prompt-rm", "some-lab/SUPRMPT-RM", "Qwen/WorldPM-72B"):
        other = Checkpoint(plain, tmp_path, None, config, shapes, ())
        assert detect_family(other).name == "qwen-rm"


@pytest.mark.parametrize(
    "architecture", ["CriticModel", "LlamaForCritic", "AutoModelForCausalLMWithValueHead"]
)
@pytest.mark.parametrize("head", ["score", "value_head", "v_head.summary"])
def test_a_critic_is_refused_by_its_class(tmp_path, architecture, head):
    folder = copy_golden("seqcls", tmp_path / "model")
    tensors = read_tensors(folder)
    write_tensors(folder, {**tensors, f"{head}.weight": tensors["score.weight"].clone()})
    edit_config(folder, architectures=[architecture])
    assert "is a critic of PPO by its class: its number is what its policy" in refusal(folder)


def test_a_critic_is_refused_by_its_name_and_a_critique_is_none(tmp_path):
    """TRL keeps a critic as a plain classifier, so its folder's name is all there is."""
    folder = copy_golden("seqcls", tmp_path / "ppo-critic")
    message = refusal(folder)
    assert "is a critic of PPO by its name" in message
    assert message.endswith("if it is an outcome reward model, pass `family=`")
    insisted = load_scorer(folder, LoadOptions(device="cpu", family="classifier"))
    assert insisted.family.name == "classifier"
    other = folder.rename(tmp_path / "criticism-rm")
    assert detect_family(open_checkpoint(str(other))).name == "classifier"


SEEING = [
    ("Qwen2_5_VLForConditionalGeneration", {"vision_config": {"depth": 2}}),  # Skywork-VL-Reward
    ("Gemma3ForSequenceClassification", {"model_type": "gemma3", "vision_config": {}}),
    ("LlavaLlamaForCausalLM", {"mm_vision_tower": "openai/clip-vit-large-patch14"}),
    ("QWenLMHeadModel", {"visual": {"layers": 48}}),
    ("Qwen2AudioForSequenceClassification", {"audio_config": {}}),
]


@pytest.mark.parametrize(("architecture", "config"), SEEING)
def test_a_multimodal_model_is_refused_by_what_it_is(tmp_path, architecture, config):
    folder = copy_golden("grm-linear", tmp_path / "model")
    edit_config(folder, architectures=[architecture], **config)
    message = refusal(folder)
    assert f"'{architecture}'" in message
    assert "is a multimodal model" in message
    assert "pass a reward model of text alone" in message


@pytest.fixture
def no_downloads(monkeypatch):
    def refuse(*_, **__):
        pytest.fail("something is downloaded of a model that its name tells")

    monkeypatch.setattr("rmeval.models.checkpoints.checkpoint.fetch_snapshot", refuse)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("internlm/POLAR-7B", "internlm/POLAR-7B: POLAR, by its name, compares"),
        ("internlm/POLAR-1_8B-Base", "compares an answer with a reference answer"),
        ("Skywork/Skywork-o1-Open-PRM-Qwen-2.5-7B", "a process reward model by its name"),
        ("peiyi9979/math-shepherd-mistral-7b-prm", "it scores the steps of a solution"),
        ("./POLAR-7B", "is not a folder on this machine: POLAR"),
    ],
)
def test_a_name_on_the_hub_is_refused_before_anything_is_downloaded(no_downloads, name, told):
    assert told in refusal(name, without_reference="rewardbench")


def test_a_file_called_polar_is_told_from_a_folder(tmp_path, no_downloads):
    (tmp_path / "POLAR-7B").write_text("elsewhere")
    assert "is a file, not a folder: POLAR" in refusal(tmp_path / "POLAR-7B")


def test_who_insists_on_a_family_is_asked_for_the_files(monkeypatch):
    asked = []
    monkeypatch.setattr(
        "rmeval.models.checkpoints.checkpoint.fetch_snapshot", lambda *a: asked.append(a[0])
    )
    with pytest.raises(AttributeError):
        load_scorer("some/PRM-7B", {"family": "inf-orm", "device": "cpu"})
    assert asked == ["some/PRM-7B"]
