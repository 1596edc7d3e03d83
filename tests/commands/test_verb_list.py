"""`rmeval list`."""

from command_line import Capture, done

from rmeval.benchmarks import BENCHMARKS
from rmeval.known import known_checkpoints
from rmeval.models.families import FAMILIES


def test_list_shows_adapters_benchmarks_and_checkpoints(capsys: Capture) -> None:
    out, err = done(capsys, "list")
    names = [entry.name for registry in (FAMILIES, BENCHMARKS) for entry in registry]
    for name in [*names, *known_checkpoints()]:
        assert any(line.startswith(f"{name} ") for line in out.splitlines()), name
    assert err == ""


def test_a_published_score_stands_with_its_weighting(capsys: Capture) -> None:
    out, _ = done(capsys, "list")
    line = next(line for line in out.splitlines() if line.startswith("internlm/internlm2-1_8b"))
    assert line.split()[5:7] == ["80.6", "rewardbench-v1-2024-07"]


def test_a_known_model_stands_with_its_size_dtype_memory_and_proof(capsys: Capture) -> None:
    out, _ = done(capsys, "list", "models")
    lines = {line.split()[0]: line.split() for line in out.splitlines() if line}
    # 20e9 weights of two bytes are 40e9 / 1024**3 GiB.
    row = lines["internlm/internlm2-20b-reward"]
    assert row[1:5] == ["internlm2", "20B", "float16", "37.3"]
    assert row[-2:] == ["golden", "cases"]
    assert lines["Skywork/Skywork-Reward-Gemma-2-27B"][-1] == "inspection"


def test_a_known_model_stands_with_its_policy_and_its_row_of_rewardbench_2(capsys: Capture) -> None:
    out, _ = done(capsys, "list", "models")
    lines = {line.split()[0]: " ".join(line.split()) for line in out.splitlines() if line}
    small = lines["Skywork/Skywork-Reward-V2-Qwen3-0.6B"]
    assert small.endswith(" 61.2 once, 16,384 tokens inspection")
    assert lines["openbmb/UltraRM-13b"].endswith(" 46.8 bos, format ultrarm golden cases")


def test_a_dtype_that_nobody_has_read_is_not_known(capsys: Capture) -> None:
    out, _ = done(capsys, "list", "models")
    line = next(line for line in out.splitlines() if line.startswith("Ray2333/GRM-llama3-8B-sft"))
    assert line.split()[1:6] == ["grm", "8B", "not", "known", "14.9"]
