"""Code that comes with a checkpoint: never without the flag, and never trusted blindly."""

import json

import pytest
import torch
from checkpoints import edit_config, read_tensors, write_tensors
from safetensors.torch import save_file

import rmeval
from rmeval.errors import BadCheckpoint

MODELING = '''
import torch
from torch import nn
from transformers import PretrainedConfig, PreTrainedModel
from transformers.modeling_outputs import SequenceClassifierOutput


class SumConfig(PretrainedConfig):
    model_type = "sum-of-values"

    def __init__(self, vocab_size=32, **kwargs):
        self.vocab_size = vocab_size
        super().__init__(**kwargs)


class SumReward(PreTrainedModel):
    """The reward is the sum of the values of the tokens, times `scale`."""

    config_class = SumConfig
    all_tied_weights_keys = {}

    def __init__(self, config):
        super().__init__(config)
        self.values = nn.Embedding(config.vocab_size, 1)
        self.register_buffer("scale", torch.full((1,), 2.0), persistent=False)
        self.calls = 0

    def _init_weights(self, module):
        INIT

    def forward(self, input_ids, attention_mask=None, **kwargs):
        self.calls += 1
        logits = (self.values(input_ids)[..., 0] * attention_mask).sum(-1, keepdim=True)
        return SequenceClassifierOutput(logits=LOGITS)
'''
RESTORES = 'if hasattr(module, "scale"): module.scale.fill_(2.0)'
VALUES = torch.arange(32, dtype=torch.float32)[:, None] / 8


@pytest.fixture
def folder(tmp_path, request):
    """A folder of its own name: transformers keeps the modules that it imported, by name."""
    name = "remote_" + str(abs(hash(request.node.name)))
    return make(tmp_path / name)


def make(folder, logits="logits * self.scale", init=RESTORES):
    folder.mkdir(exist_ok=True)
    code = MODELING.replace("INIT", init).replace("LOGITS", logits)
    (folder / "modeling_sum.py").write_text(code)
    auto_map = {"AutoConfig": "modeling_sum.SumConfig", "AutoModel": "modeling_sum.SumReward"}
    config = {"architectures": ["SumReward"], "model_type": "sum-of-values", "auto_map": auto_map}
    (folder / "config.json").write_text(json.dumps({**config, "vocab_size": 32}))
    save_file({"values.weight": VALUES}, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def load(folder, **options):
    options = {"trust_remote_code": True, "dtype": "float32", "device": "cpu", **options}
    return rmeval.load_model(str(folder), **options)


def refusal(folder):
    with pytest.raises(BadCheckpoint) as error:
        load(folder)
    message = str(error.value)
    assert "\n" not in message
    assert f"{folder}: remote code refused" in message
    return message


def test_code_in_the_folder_does_not_run_without_the_flag(folder):
    (folder / "modeling_sum.py").write_text("raise SystemExit('the code ran')")
    with pytest.raises(BadCheckpoint, match="`trust_remote_code=True` to run") as error:
        load(folder, trust_remote_code=False)
    assert "'SumReward'" in str(error.value)


def test_trusted_code_gives_its_own_rewards(folder):
    model = load(folder)
    assert model.family.name == "remote-code"
    # each value is a token's id over eight, and the sum is doubled
    assert model.score_tokens([[8], [4, 4, 16], [0, 31], [1, 2, 3]]) == [2.0, 6.0, 7.75, 1.5]


def test_its_batches_hold_one_length_only(folder):
    model = load(folder, checks=False)
    model.network.backbone.calls = 0
    model.score_tokens([[1], [2, 2], [3], [4, 4], [5, 5, 5]])
    assert model.network.backbone.calls == 3  # nobody vouches for what it does with padding


def test_an_adapter_of_ours_is_preferred_to_trusted_code(tmp_path):
    from checkpoints import copy_golden

    folder = copy_golden("internlm2", tmp_path / "internlm2")  # its config has an auto_map
    assert load(folder).family.name == "internlm2"


def test_rewards_that_are_not_finite_are_refused(folder):
    make(folder, logits="logits / 0 * 0")
    assert "not finite" in refusal(folder)


def test_rewards_that_change_from_call_to_call_are_refused(folder):
    make(folder, logits="logits + self.calls")
    assert "not reproducible" in refusal(folder)


def test_a_buffer_that_nothing_fills_is_refused(folder):
    """Transformers 5 builds models without memory; what no file holds must be made anew."""
    make(folder, init="if hasattr(module, 'scale'): module.scale.fill_(7.0)")
    assert "buffer scale is left uninitialised" in refusal(folder)


def test_weights_that_its_files_lack_are_refused(folder):
    save_file({"other.weight": VALUES}, folder / "model.safetensors", metadata={"format": "pt"})
    assert "leaves values.weight" in refusal(folder)


def test_two_labels_are_refused(folder):
    make(folder, logits="torch.cat([logits, logits], -1)")
    refusal(folder)


def test_a_config_without_vocabulary_size_scores_all_the_same(folder):
    edit_config(folder, remove=("vocab_size",))
    code = (folder / "modeling_sum.py").read_text()
    code = code.replace("self.vocab_size = vocab_size", "self.words = vocab_size")
    (folder / "modeling_sum.py").write_text(code.replace("config.vocab_size", "config.words"))
    assert load(folder).score_tokens([[8]]) == [2.0]


def test_a_changed_weight_changes_a_reward(folder):
    write_tensors(folder, {k: t + 1 for k, t in read_tensors(folder).items()})
    assert load(folder).score_tokens([[8, 8]]) == [8.0]
