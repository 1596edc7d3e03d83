"""One model over two processes: the rewards of one, each with half of the large matrices."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import transformers as hf
from conftest import GOLDEN

sys.path.append(str(Path(__file__).parents[1] / "engine"))

from tiny_families import GROUPED, family_tree

import rmeval
from rmeval.cli import main
from rmeval.errors import BadOption
from rmeval.models.network import Network
from rmeval.models.tensor_parallel import Parts, cut

ROOT = Path(__file__).parents[2]
LAUNCH = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
SIZES = {**GROUPED, "num_labels": 1, "pad_token_id": 0}
FAMILIES = {
    "llama": (hf.LlamaForSequenceClassification, lambda: hf.LlamaConfig(**SIZES)),
    "qwen2, biases": (hf.Qwen2ForSequenceClassification, lambda: hf.Qwen2Config(**SIZES)),
    "qwen3, norms of heads": (
        hf.Qwen3ForSequenceClassification,
        lambda: hf.Qwen3Config(**SIZES, head_dim=8),
    ),
    "gemma 2, a soft cap": (
        hf.Gemma2ForSequenceClassification,
        lambda: hf.Gemma2Config(**SIZES, head_dim=8),
    ),
    "gpt-neox, biases after sums": (
        hf.GPTNeoXForSequenceClassification,
        lambda: hf.GPTNeoXConfig(**SIZES),
    ),
}
# What each process finds: for every folder and path the rewards, and how much of the model it has.
TOLD = """
import json, sys
from pathlib import Path
import rmeval
from rmeval.cli import main
from rmeval.errors import RmevalError
from torch import distributed

folder, asked = Path(sys.argv[1]), json.loads(sys.argv[2])
told = {"held": {}, "rewards": {}}
for name in asked["folders"]:
    for engine in ("packed", "padded"):
        model = rmeval.load_model(
            name, device="cpu", dtype="float64", parallel="tensor", engine=engine
        )
        told["rewards"][f"{name} {engine}"] = model.score_tokens(asked["sequences"])
    told["held"][name] = sum(weight.numel() for weight in model.network.parameters())
for name in asked["refused"]:
    try:
        rmeval.load_model(name, device="cpu", parallel="tensor")
    except RmevalError as error:
        told[name] = str(error)
told["status"] = main([*asked["run"], "--parallel", "tensor", "--output", str(folder / "two")])
told["engine"] = model.engine_provenance()
(folder / f"told.{distributed.get_rank()}.json").write_text(json.dumps(told))
"""


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Checkpoints whose rewards differ by far more than rounding."""
    made = {"internlm2, fused and renamed": GOLDEN / "internlm2"}
    for name, (model_class, config) in FAMILIES.items():
        torch.manual_seed(0)
        model = model_class(config()).eval()
        for parameter in model.parameters():
            parameter.data += 0.3 * torch.randn(parameter.shape)
        made[name] = tmp_path_factory.mktemp("models") / "m"
        model.save_pretrained(made[name])
    return {name: str(folder) for name, folder in made.items()}


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "bert"
    small = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 4}
    config = hf.BertConfig(vocab_size=99, intermediate_size=48, num_labels=1, **small)
    hf.BertForSequenceClassification(config).save_pretrained(folder)
    return str(folder)


RUN = ["run", "--model", "demo", "--device", "cpu", "--limit", "23", "--batch-tokens", "200"]


@pytest.fixture(scope="module")
def two(folders, bert, tmp_path_factory):
    """The folder of two processes, what each told, and how they ended."""
    folder = tmp_path_factory.mktemp("two")
    (folder / "told.py").write_text(TOLD)
    asked = {
        "folders": list(folders.values()),
        "sequences": family_tree(),
        "refused": [bert],
        "run": RUN,
    }
    ended = subprocess.run(
        [*LAUNCH, str(folder / "told.py"), str(folder), json.dumps(asked)],
        capture_output=True,
        text=True,
        timeout=400,
        env={
            **os.environ,
            "HF_HUB_OFFLINE": "1",
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])),
        },
    )
    files = sorted(folder.glob("told.*.json"))
    assert len(files) == 2, ended.stderr
    return folder, [json.loads(file.read_text()) for file in files], ended


@pytest.mark.parametrize("name", ["internlm2, fused and renamed", *FAMILIES])
def test_two_processes_give_the_rewards_of_one_with_half_of_its_layers_each(folders, two, name):
    whole = rmeval.load_model(folders[name], device="cpu", dtype="float64")
    expected = whole.score_tokens(family_tree())
    assert max(expected) - min(expected) > 0.1
    for told in two[1]:
        for engine in ("packed", "padded"):
            rewards = told["rewards"][f"{folders[name]} {engine}"]
            # gemma 2's softmax is in float32, whatever the model is in
            rounding = 2e-6 if "gemma 2" in name else 1e-12
            assert rewards == pytest.approx(expected, abs=rounding, rel=0)
        layers = sum(weight.numel() for weight in whole.network.backbone.layers.parameters())
        of_all = sum(weight.numel() for weight in whole.network.parameters())
        held = told["held"][folders[name]] - (of_all - layers)
        assert 0.5 <= held / layers < 0.56


def test_a_run_is_written_once_by_rank_0_with_the_scores_of_one_process(two, tmp_path):
    folder, told, ended = two
    assert [each["status"] for each in told] == [0, 0], ended.stderr
    assert main([*RUN, "--output", str(tmp_path)]) == 0
    paths = [place / "demo/demo/scores.jsonl" for place in (tmp_path, folder / "two")]
    one, both = ([json.loads(line) for line in path.read_text().splitlines()] for path in paths)
    assert [row["id"] for row in both] == [row["id"] for row in one]
    for row, other in zip(one, both, strict=True):
        scores = [response["value"] for response in row["responses"]]
        assert [r["value"] for r in other["responses"]] == pytest.approx(scores, abs=1e-4)
    assert ended.stdout.count("kept in") == 1
    assert all(each["engine"]["processes"] == 2 for each in told)
    result = json.loads((folder / "two/demo/demo/result.json").read_text())
    assert result["provenance"]["engine"]["processes"] == 2


def test_a_model_without_a_plan_is_refused_by_every_process(two, bert):
    for told in two[1]:
        assert told[bert].startswith(
            "`parallel='tensor'`: this model is not cut here (transformers "
        )


# Rank 1 gets a signal in its third forward pass of the run.
STOPPED = """
import os, signal, sys
import rmeval.models.load, rmeval.benchmarks.reading.rows
from rmeval.cli import main
from rmeval.engine import scoring
forward, passes = scoring.start_packed, []
def stopped(*what):
    passes.append(1)
    if os.environ["RANK"] == "1" and len(passes) == 3:
        os.kill(os.getpid(), getattr(signal, sys.argv[1]))
    return forward(*what)
scoring.start_packed = stopped
sys.exit(main(sys.argv[2:]))
"""


@pytest.mark.parametrize("name", ["SIGKILL", "SIGSTOP"])
def test_who_waits_for_a_sum_with_one_that_is_gone_ends_in_one_line(tmp_path, name):
    if name == "SIGSTOP" and not os.environ.get("RMEVAL_SLOW_TESTS"):
        pytest.skip("needs RMEVAL_SLOW_TESTS=1")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        where = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1])}
    told = {**os.environ, **where, "WORLD_SIZE": "2", "RMEVAL_PATIENCE": "10"}
    told |= {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    command = [*RUN, "--no-checks", "--parallel", "tensor", "--output", str(tmp_path)]
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", STOPPED, name, *command],
            env={**told, "RANK": str(rank)},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    try:
        said = processes[0].communicate(timeout=200)[1]
        line = said.strip().splitlines()[-1]
        assert (processes[0].returncode, line[:8]) == (2, "rmeval: "), said
        assert "a process that holds a part of the model is gone" in line
        assert len(list(tmp_path.rglob("*.sqlite"))) == 2
    finally:
        for process in processes:
            process.kill()
            process.communicate()


def test_one_process_is_told_how_to_start_several():
    with pytest.raises(BadOption, match="there is one: start it with `torchrun --nproc_per_node N"):
        rmeval.load_model("demo", device="cpu", parallel="tensor")
    with pytest.raises(rmeval.UnknownName, match="unknown way of `parallel=` 'pipeline'"):
        rmeval.load_model("demo", device="cpu", parallel="pipeline")


@pytest.mark.parametrize(
    ("count", "changes", "told"),
    [
        (3, {}, "num_attention_heads is 4, which 3 processes do not divide"),
        (4, {}, "num_key_value_heads is 2, which 4 processes do not divide"),
        (2, {"intermediate_size": 49}, "mlp.gate_proj.weight is 49, which 2 processes do not"),
    ],
)
def test_sizes_that_do_not_divide_are_named(count, changes, told):
    config = hf.LlamaConfig(**{**GROUPED, **changes})
    with torch.device("meta"):
        network = Network(hf.LlamaModel(config), None)
    with pytest.raises(BadOption, match=told):
        cut(network, Parts(0, count))


def test_an_embedding_that_the_plan_would_cut_stays_whole():
    """transformers before 5.23 puts it into the plan of every tied model."""
    with torch.device("meta"):
        network = Network(hf.LlamaModel(hf.LlamaConfig(**GROUPED)), None)
    plan = {**network.config.base_model_tp_plan, "embed_tokens": "embedding_rowwise"}
    network.config.base_model_tp_plan = plan
    whole = network.backbone.embed_tokens.weight.shape
    parts = Parts(0, 2)
    cut(network, parts)
    assert network.backbone.embed_tokens.weight.shape == whole
    assert "backbone.embed_tokens.weight" not in parts.sides


@pytest.mark.parametrize("style", ["packed_colwise", "moe_tp_experts"])
def test_a_part_that_is_cut_in_an_unknown_way_is_named(style):
    with torch.device("meta"):
        network = Network(hf.LlamaModel(hf.LlamaConfig(**GROUPED)), None)
    plan = {**network.config.base_model_tp_plan, "layers.*.mlp.up_proj": style}
    network.config.base_model_tp_plan = plan
    with pytest.raises(BadOption, match=rf"is not cut here \(its plan has '{style}'\)"):
        cut(network, Parts(0, 2))
