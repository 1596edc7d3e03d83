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
    ],
)
def test_a_process_reward_model_is_refused_by_its_name(tmp_path, name):
    config = {"architectures": ["Qwen2ForRewardModel"], "model_type": "qwen2"}
    shapes = {"score.0.weight": (4, 4), "score.2.weight": (1, 4)}
    with pytest.raises(BadCheckpoint, match=r"by its name.*pass `family=`"):
        detect_family(Checkpoint(name, tmp_path, None, config, shapes, ()))
    other = Checkpoint("some-lab/supreme-prompt-rm", tmp_path, None, config, shapes, ())
    assert detect_family(other).name == "qwen-rm"


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
        ("./POLAR-7B", "is no folder on this machine: POLAR"),
    ],
)
def test_a_name_on_the_hub_is_refused_before_anything_is_downloaded(no_downloads, name, told):
    assert told in refusal(name, without_reference="rewardbench")


def test_a_file_called_polar_is_told_from_a_folder(tmp_path, no_downloads):
    (tmp_path / "POLAR-7B").write_text("elsewhere")
    assert "is a file, no folder: POLAR" in refusal(tmp_path / "POLAR-7B")


def test_who_insists_on_a_family_is_asked_for_the_files(monkeypatch):
    asked = []
    monkeypatch.setattr(
        "rmeval.models.checkpoints.checkpoint.fetch_snapshot", lambda *a: asked.append(a[0])
    )
    with pytest.raises(AttributeError):
        load_scorer("some/PRM-7B", {"family": "inf-orm", "device": "cpu"})
    assert asked == ["some/PRM-7B"]
