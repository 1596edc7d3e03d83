"""Every registered benchmark: what is known of it, and that its rows come from the Hub."""

import subprocess
import sys
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from published_layouts import COMMIT, turns, write

from rmeval import load_benchmark
from rmeval.benchmarks import BENCHMARKS, define_benchmark, published_name
from rmeval.cli import main
from rmeval.errors import Unreachable

NAMES = [entry.name for entry in BENCHMARKS]
TEXTS = {"prompt": "p", "chosen": "yes", "rejected": "no", "id": 1}
THREE = {**TEXTS, "chosen": list("abc"), "rejected": list("def"), "domain": "math"}
JUDGED = {
    "pair_id": "1", "question": "q", "source": "livecodebench", "response_A": "a",
    "response_B": "b", "response_model": "gpt-4o-2024-05-13", "label": "B>A",
}  # fmt: skip

# A file as it lies on the Hub, its row, and that row's id.
ON_HUB: dict[str, tuple[str, dict[str, Any], str]] = {
    "rewardbench": ("data/filtered-0.parquet", {**TEXTS, "subset": "hep-go"}, "1"),
    "prior-sets": (
        "data/anthropic_helpful-00000-of-00001.parquet",
        {**TEXTS, "prompt": turns("p")},
        "anthropic_helpful/1",
    ),
    "rewardbench-2": (
        "data/test-00000-of-00001.parquet",
        {**TEXTS, "chosen": ["a"], "rejected": ["b"], "subset": "Focus"},
        "Focus/1",
    ),
    "rm-bench": ("total_dataset.json", THREE, "math/1"),
    "judgebench": ("data/gpt-00000-of-00001.jsonl", JUDGED, "gpt-4o/1"),
    "m-rewardbench": (
        "arb_Arab/test-00000-of-00001.parquet",
        {**TEXTS, "source": "hep-go"},
        "arb_Arab/1",
    ),
}


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of the Hub, and no network."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return tmp_path


def folder_of(hub: Path, name: str) -> Path:
    """The snapshot of a benchmark's data set, of which this is the main branch."""
    repository = define_benchmark(name).repository
    assert repository is not None
    cache = hub / f"datasets--{repository.replace('/', '--')}"
    (cache / "refs").mkdir(parents=True)
    (cache / "refs/main").write_text(COMMIT)
    folder = cache / "snapshots" / COMMIT
    folder.mkdir(parents=True)
    return folder


@pytest.mark.parametrize("name", ON_HUB)
def test_rows_in_the_hubs_cache_are_found_by_their_published_names(name: str, hub: Path) -> None:
    file, row, row_id = ON_HUB[name]
    write(folder_of(hub, name) / file, [row])
    benchmark = load_benchmark(name)
    assert [item.id for item in benchmark.preferences] == [row_id]
    assert benchmark.revision == COMMIT
    assert benchmark.source == define_benchmark(name).repository
    assert benchmark.partial is not None
    assert benchmark.partial.startswith(f"1 rows instead of {define_benchmark(name).rows}")


@pytest.mark.parametrize("name", ON_HUB)
def test_a_snapshot_without_rows_says_what_is_missing(name: str, hub: Path) -> None:
    (folder_of(hub, name) / "README.md").write_text("a card")
    with pytest.raises(Unreachable, match="pass `data=FOLDER_OR_FILE`"):
        load_benchmark(name)


def test_all_that_are_on_the_hub_are_tested() -> None:
    on_hub = {name for name in NAMES if define_benchmark(name).repository}
    assert set(ON_HUB) == on_hub - {"ppe-correctness"}  # five data sets: test_ppe_rows.py


def test_the_default_benchmark_is_listed_first_and_the_demonstration_last() -> None:
    assert (NAMES[0], NAMES[-1]) == ("rewardbench", "demo")


@pytest.mark.parametrize(
    ("name", "rows"),
    {
        "rewardbench": 2985,
        "prior-sets": 17154,
        "rewardbench-2": 1865,
        "rm-bench": 1327,
        "judgebench": 620,
        "rmb-pairwise": 17131,
        "rmb-bon": 3786,
        "m-rewardbench": 65987,
        "ppe-correctness": 2555,
        "demo": 368,
    }.items(),
)
def test_a_benchmark_has_its_published_number_of_rows(name: str, rows: int) -> None:
    definition = define_benchmark(name)
    assert definition.name == name
    assert definition.rows == rows
    assert definition.scheme.rows is not None
    assert sum(definition.scheme.rows.values()) == rows


@pytest.mark.parametrize("name", NAMES)
def test_a_definition_says_its_licence_and_meaning_on_a_line(name: str) -> None:
    definition = define_benchmark(name)
    assert definition.licence
    assert definition.meaning.isprintable()
    assert len(definition.meaning) < 80


def test_definitions_load_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from rmeval.benchmarks import BENCHMARKS\n"
        "for entry in BENCHMARKS: BENCHMARKS.load(entry.name)\n"
        "heavy = {'torch', 'transformers', 'pyarrow', 'huggingface_hub'} & set(sys.modules)\n"
        "sys.exit(f'loaded {heavy}' if heavy else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("allenai/reward-bench", "rewardbench"),
        ("AllenAI/Reward-Bench/", "rewardbench"),
        ("RewardBench", "rewardbench"),
        ("rewardbench/", "rewardbench"),
        ("allenai/reward-bench-2", "rewardbench-2"),
        ("allenai/pref-test-sets", "prior-sets"),
        ("THU-KEG/RM-Bench", "rm-bench"),
        ("scalerlab/judgebench", "judgebench"),
        ("CohereLabsCommunity/multilingual-reward-bench", "m-rewardbench"),
        ("allenai/reward-bench-3", "allenai/reward-bench-3"),
        ("pairs.jsonl", "pairs.jsonl"),
        ("/data/reward-bench/", "/data/reward-bench/"),
    ],
)
def test_the_name_of_a_benchmarks_data_set_is_the_benchmark(written: str, name: str) -> None:
    assert published_name(written) == name


def test_every_data_set_that_is_listed_is_a_benchmark() -> None:
    known = [define_benchmark(entry.name) for entry in BENCHMARKS]
    assert all(published_name(one.repository) == one.name for one in known if one.repository)


def test_rows_under_the_data_sets_name_have_the_benchmarks_sections(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its Score is no accuracy of rows; what is a folder here is a folder."""
    monkeypatch.chdir(tmp_path)
    rows = files("rmeval") / "data" / "demo" / "benchmark.jsonl"
    Path("rows.jsonl").write_text(rows.read_text("utf-8"), "utf-8")
    asked = ["run", "--benchmark", "allenai/Reward-Bench", "--data", "rows.jsonl", "--dry-run"]
    assert main(asked) == 0
    assert " on rewardbench" in capsys.readouterr().out
