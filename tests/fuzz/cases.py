"""One damaged thing each, and the command that meets it."""

import gzip
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

from conftest import DEMO_MODEL
from mutations import spoil, spoil_bytes, spoil_json, spoil_lines
from worlds import ANSWERED, RANKED, ROWS, TALKS, TEMPLATE, copy, lines

ROOT = Path(__file__).parents[2]
Case = Callable[[Path, Random, Path], list[str]]


def score(folder: Path, model: object, *options: object) -> list[str]:
    """The command that scores two conversations with a model."""
    (folder / "talks.jsonl").write_text(lines(TALKS))
    told = ["score", "--model", model, "--input", folder / "talks.jsonl"]
    return [*map(str, [*told, "--output", folder / "out.jsonl", "--no-checks", *options])]


def reader(folder: Path, random: Random, model: Path) -> list[str]:
    """One of the commands that read a checkpoint, with options now and then."""
    verb = random.choice([*["score"] * 6, "doctor", "merge", "show", "reference"])
    if verb == "doctor" and (model / "tokenizer.json").exists():  # the demonstration's takes 5 s
        return ["doctor", "--model", str(model), "--device", "cpu"]
    if verb == "merge":
        return ["merge", str(model), str(model), "--output", str(folder / "merged")]
    if verb == "show":
        return ["show", "demo", "alpacaeval-easy/0", "--model", str(model)]
    if verb == "reference":
        return score(folder, model, "--reference", random.choice(["none", str(model)]))
    return score(folder, model)


def damaged(path: Path, data: bytes) -> None:
    path.unlink(missing_ok=True)
    path.write_bytes(data)


def rows(folder: Path, random: Random, _: Path) -> list[str]:
    """Rows of somebody's own, in any format that can be read."""
    kind = random.choice(["jsonl", "json", "csv", "jsonl.gz", "csv.gz", "parquet", "arrow"])
    file, columns = folder / f"rows.{kind}", random.choice([ROWS, RANKED, TALKS, ANSWERED])
    if kind in ("parquet", "arrow"):
        file.write_bytes(_columns(ROWS, kind, random))
    else:
        text = lines(columns)
        if "csv" in kind:
            data = spoil_bytes(b'id,prompt,chosen,rejected\nr0,a,b,c\nr1,"d\ne",f,g\n', random)
        elif kind == "json":
            data = spoil_json(json.dumps(columns), random)
        else:
            data = spoil_lines(text, random)
        whole = gzip.compress(data) if kind.endswith("gz") else data
        file.write_bytes(spoil_bytes(whole, random) if random.randrange(4) == 0 else whole)
    verbs = ["show", "show", "score", "rank", "pairs", "filter", "best-of-n", "overlap"]
    verb = random.choice(verbs)
    if verb == "overlap":
        return ["overlap", "--train", str(file), "--benchmark", "demo"]
    if verb == "show":
        extra = ["--columns", "prompt=id,chosen=x"] if random.randrange(6) == 0 else []
        return ["show", str(file), "r0", *extra]
    if verb == "pairs":
        return ["pairs", "--input", str(file), "--output", str(folder / "pairs")]
    if verb == "best-of-n":
        told = ["best-of-n", "--prompts", str(file), "--generator", str(folder / "none")]
        return [*told, "--model", str(folder / "none"), "--output", str(folder / "out")]
    told = [verb, "--model", str(folder / "none"), "--input", str(file)]
    return [*told, "--output", str(folder / "out.jsonl")]


def _columns(values: list[Any], kind: str, random: Random) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()
    if random.randrange(2):  # columns of other types, in a file that is sound
        held = {"id": ["r0"], "prompt": ["a"], "chosen": ["b"], "rejected": ["c"]}
        others: list[Any] = [[1], [None], [b"\xff"], [1.5], [{"a": 1}], [[None]], [[{"b": [1]}]]]
        held[random.choice(list(held))] = random.choice(others)
        table = pa.table(held)
    else:
        table = pa.Table.from_pylist(values)
    if kind == "parquet":
        pq.write_table(table, sink)
    else:
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
    data = bytes(sink.getvalue())
    return spoil_bytes(data, random) if random.randrange(2) else data


def results(folder: Path, random: Random, worlds: Path) -> list[str]:
    """A result.json or scores.jsonl with something wrong, and every verb that reads one."""
    copy(folder / "results", worlds / "results")
    bad, good = folder / "results" / "demo" / "a", folder / "results" / "demo" / "b"
    name = random.choice(["result.json", "result.json", "result.json", "scores.jsonl"])
    text = (bad / name).read_text()
    spoiled = spoil_json(text, random) if name == "result.json" else spoil_lines(text, random)
    damaged(bad / name, spoiled)
    a, b, below = str(bad), str(good), str(folder / "results")
    return random.choice(
        [
            ["aggregate", a],
            ["aggregate", a, "--explain"],
            ["compare", a, b],
            ["leaderboard", below, "--published"],
            ["history", below, "--figure", str(folder / "h.svg")],
            ["plot", below, "--figure", "forest", "--output", str(folder / "f")],
            ["report", a, "--output", str(folder / "r.html")],
            ["ensemble", a, b, "--output", below],
            ["baseline", a, "--output", str(folder / "base.json")],
            ["check", "--result", a, "--baseline", "published"],
            *(["export", a, "--format", form] for form in ("latex", "markdown", "model-index")),
            ["store", below, "--prune"],
        ]
    )


def baseline(folder: Path, random: Random, worlds: Path) -> list[str]:
    """A baseline file with something wrong; margins far out."""
    file = folder / "base.json"
    damaged(file, spoil_json((ROOT / "results/baselines/demo.json").read_text(), random))
    copy(folder / "results", worlds / "results")
    number = random.choice(["0.5", "5e-324", "1e308", "0", "nan", "-0", "100"])
    told = ["check", "--result", str(folder / "results/demo/a"), "--baseline", str(file)]
    return [*told, "--max-drop", number]


def config(folder: Path, random: Random, worlds: Path) -> list[str]:
    """A config.json with a value that is wrong."""
    if random.randrange(4) == 0:
        model = copy(folder / "model", DEMO_MODEL)
    else:
        model = copy(folder / "model", worlds / random.choice(["classifier", "policy"]))
    text = (model / "config.json").read_text()
    changed = json.loads(text)
    if random.randrange(3) == 0:
        name = random.choice(list(SIZES_OF))
        changed[name] = random.choice(SIZES_OF[name])
        damaged(model / "config.json", json.dumps(changed).encode())
    else:
        damaged(model / "config.json", spoil_json(text, random))
    return reader(folder, random, model)


COUNTS: list[Any] = [0, -1, 1, 2, 7, 2_000_000, 2**40, 1.5, "4", None, [4], {}]
SIZES_OF: dict[str, list[Any]] = {
    "num_hidden_layers": COUNTS,
    "hidden_size": COUNTS,
    "num_attention_heads": COUNTS,
    "num_key_value_heads": COUNTS,
    "intermediate_size": COUNTS,
    "vocab_size": COUNTS,
    "max_position_embeddings": COUNTS,
    "head_dim": COUNTS,
    "pad_token_id": [300, 299, -1, 4103, 1.5, "0", [0], None],
    "num_labels": [0, 1, 2, -1, "1", None],
    "id2label": [None, {}, {"0": None}, {"x": "y"}, [1], "a", {"0": "a", "1": "b"}],
    "model_type": ["llama", "qwen2", "bert", "mamba", "t5", "x", 1, None, [], {}, "gpt2", "gemma2"],
    "architectures": [None, [], [None], "LlamaForSequenceClassification", [1], {}, [[]]],
    "rope_scaling": [None, {}, {"type": "x"}, {"rope_type": "linear"}, 1, "x", {"factor": 0}],
    "rope_parameters": [{"rope_type": "longrope"}, {"rope_type": "yarn", "factor": 0}, [], 1],
    "torch_dtype": ["auto", "x", 1, None, ["float16"], "float8_e4m3fn", {}],
    "dtype": ["auto", "x", 1, None, ["float16"], "int8", {}],
    "hidden_act": ["x", None, 1, [], "gelu"],
    "auto_map": [None, [], "x", {"AutoConfig": 1}, {"AutoModel": "x.Y"}],
    "quantization_config": [1, {}, "x", {"quant_method": 1}, []],
    "attn_logit_softcapping": [0, "x", 1e308],
    "layer_types": [[], ["x"], "x", None, ["full_attention"] * 3],
}


TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json")


def tokenizer(folder: Path, random: Random, worlds: Path) -> list[str]:
    """Files of a tokenizer with something wrong."""
    if random.randrange(3) == 0:
        model = copy(folder / "model", DEMO_MODEL)
        name = random.choice(["tokenizer.model", "tokenizer_config.json", "added_tokens.json"])
    else:
        model = copy(folder / "model", worlds / "classifier")
        name = random.choice([*TOKENIZER, *TOKENIZER, "added_tokens.json", "chat_template.jinja"])
    if name == "added_tokens.json":
        damaged(model / name, spoil_json('{"<x>": 300, "<y>": 301}', random))
    elif name.endswith("json"):
        damaged(model / name, spoil_json((model / name).read_text(), random))
    else:
        data = TEMPLATE.encode() if name.endswith("jinja") else (model / name).read_bytes()
        damaged(model / name, spoil_bytes(data, random))
    return reader(folder, random, model)


def weights(folder: Path, random: Random, worlds: Path) -> list[str]:
    """Weights with wrong bytes, or an index that is wrong."""
    model = copy(folder / "model", worlds / random.choice(["classifier", "policy"]))
    whole = model / "model.safetensors"
    if random.randrange(2):
        data = whole.read_bytes()
        length = int.from_bytes(data[:8], "little")
        if random.randrange(2):
            header = spoil_json(data[8 : 8 + length].decode(), random)
            data = len(header).to_bytes(8, "little") + header + data[8 + length :]
        else:
            data = spoil_bytes(data[: 8 + length], random) + data[8 + length :]
        damaged(whole, data)
    else:
        index = {"metadata": {}, "weight_map": {"score.weight": "model.safetensors"}}
        damaged(model / "model.safetensors.index.json", spoil_json(json.dumps(index), random))
    return reader(folder, random, model)


TEMPLATES = [
    "{{ 1 / 0 }}",
    "{{ messages[99].content }}",
    "{{ messages.x.y.z }}",
    "{% for i in range(99999999) %}x{% endfor %}",
    "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    "{% for a in range(9999) %}{% for b in range(9999) %}{% for c in range(9999) %}"
    "{% set x = a * b %}{% endfor %}{% endfor %}{% endfor %}",
    "{{ 9 ** (9 ** 9) }}",
    "{{ 'x' * 9999999999999 }}",
    "{{ raise_exception('no') }}",
    "{{ raise_exception() }}",
    "{{ raise_exception(messages) }}",
    "{% include 'x' %}",
    "{% import 'x' as y %}",
    "{{ messages[0].content.__class__.__mro__ }}",
    "{{ undefined_thing() }}",
    "{{ messages | tojson(indent='x') }}",
    "{{ messages | sort }}",
    "{{ '%s' % (1, 2) }}",
    "{{ '{0.x}'.format(1) }}",
    "{{ messages[0] + 1 }}",
    "{% for m in 5 %}{% endfor %}",
    "{% if",
    "{{ strftime_now(1) }}",
    "{{ messages | map('int') | sum }}",
    "{% generation %}{{ messages }}{% endgeneration %}",
    "{{ '\\ud800' }}",
    "",
    "\x00",
    "{{ namespace(1) }}",
    "{% set ns = namespace() %}{{ ns.x.y }}",
    "{{ cycler().next() }}",
    "{{ lipsum(n=999999) }}",
    "{{ '(a+)+$' | length }}{{ messages | batch(0) | list }}",
    "{{ 'x'.encode('no') }}",
    "{{ messages | groupby('zz') }}",
    "{{ [1] | first | random }}",
    "{{ 10 ** 5000 }}",
    "{{ 'x' | center(999999999999) }}",
    "{{ 'x'.zfill(99999999999) }}",
    "{{ messages | join(1) | truncate('x') }}",
]


def template(folder: Path, random: Random, worlds: Path) -> list[str]:
    """A chat template that raises, never ends, or is none."""
    written = random.choice(TEMPLATES)
    if random.randrange(3) == 0:
        written = TEMPLATE + written
    if random.randrange(6) == 0:
        written = spoil_bytes(TEMPLATE.encode(), random).decode(errors="replace")
    if random.randrange(2):
        model = copy(folder / "model", worlds / "classifier")
        damaged(model / "chat_template.jinja", written.encode())
        return score(folder, model)
    file = folder / "x.jinja"
    file.write_text(written)
    return score(folder, worlds / "classifier", "--chat-template", file)


RECIPE = {
    "model": "demo",
    "benchmark": "demo",
    "dtype": "auto",
    "limit": 3,
    "no-checks": True,
    "weighting": "rewardbench-v1",
    "published": {"Score": 91.2, "Chat": 90.0, "type": "x", "source": "s", "date": "2024-01-01"},
}
ENSEMBLE = {
    "name": "e",
    "benchmark": "demo",
    "normalise": "minmax",
    "weights": {"org/m": 0.5, "x": 0.5},
    "published": {"Score": 91.2, "type": "x", "source": "s", "date": "2024-01-01"},
}


BENCHMARK: dict[str, Any] = {
    "licence": "MIT",
    "meaning": "accuracy",
    "source": "https://example.org",
    "rows": 3,
    "score": "subsets",
    "columns": {"prompt": "prompt", "subset": ["subset", "id"], "chosen": "chosen",
                "rejected": "rejected"},
    "better": {"column": "subset", "chosen": ["s"], "rejected": [1], "neither": [0]},
    "published": [{"model": "m", "Score": 3.5, "s": 2}],
}  # fmt: skip
GROUPED = {
    "better": {},
    "joined": {"chosen": " "},
    "grouped": {"by": "id", "column": "subset", "response": "chosen", "chosen": ["s"],
                "rejected": ["t"]},
}  # fmt: skip


def _toml(value: Any) -> str:
    """Returns TOML for a value that JSON can hold; null and NaN as TOML would have them."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(k)} = {_toml(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return "[]" if value is None else json.dumps(value).replace("NaN", "nan").replace("I", "i")


def benchmark(folder: Path, random: Random, worlds: Path) -> list[str]:
    """A benchmark's recipe with wrong types, or right over rows that it does not fit."""
    right = random.choice([BENCHMARK, {**BENCHMARK, **GROUPED}, {**BENCHMARK, "each": "prompt"}])
    spoiled = right if random.randrange(3) == 0 else spoil(right, random)
    text = "".join(f"{json.dumps(key)} = {_toml(value)}\n" for key, value in spoiled.items())
    file, rows = folder / "x.toml", folder / "rows.jsonl"
    file.write_bytes(text.encode(errors="replace"))
    rows.write_bytes(spoil_lines(lines(ROWS), random))
    data = rows if random.randrange(2) else worlds / "rows.jsonl"
    return ["show", str(file), "1", "--data", str(data)]


def recipe(folder: Path, random: Random, worlds: Path) -> list[str]:
    """A recipe, an ensemble's, or a judge's prompt format with wrong types."""
    kind = random.choice(["run", "ensemble", "judge"])
    file = folder / "x.toml"
    if kind == "judge":
        import tomllib

        formats = sorted((ROOT / "rmeval/data/judges").glob("*.toml"))
        right = tomllib.loads(random.choice(formats).read_text())
    else:
        right = RECIPE if kind == "run" else ENSEMBLE
    spoiled = spoil(right, random)
    text = "".join(f"{json.dumps(key)} = {_toml(value)}\n" for key, value in spoiled.items())
    data = text.encode(errors="replace")
    file.write_bytes(spoil_bytes(data, random) if random.randrange(5) == 0 else data)
    if kind == "judge":
        told = ["run", "--model", "judge:m", "--endpoint", "http://127.0.0.1:9/v1", "--dry-run"]
        return [*told, "--benchmark", "demo", "--prompt", str(file)]
    if kind == "ensemble":
        return ["ensemble", str(worlds / "results"), "--config", str(file)]
    return ["run", "--config", str(file), "--dry-run", "--output", str(folder / "out")]


LONG = "n" * 300
WORDS = ["", " ", LONG, f"a/{LONG}", "/" * 5000, "~nobody/x", ".", "..", "/", "\x00", "a\x00b",
         "\ud800", "1e308", "5e-324", "nan", "inf", "-1", "0", "99999999999999999999", "1" * 5000,
         "²", "x=y", "=", ",", "a,b", "a/b", "http://", "http://[", "judge:", "judge:x", "demo",
         "/proc/self/mem", "/dev/null", "/proc/1/root/x", "auto", "none", "cuda:99", "é", "--",
         "margin>=1e308", "margin>=5e-324", "top=5e-324%", "top=1e308%", "0.7,0.3", "published",
         "/proc/self/fd/99", "%s", "{}", "[", "*"]  # fmt: skip
COMMANDS = [
    ["run", "--model", "demo", "--benchmark", "demo", "--dry-run"],
    ["run", "--model", "judge:m", "--endpoint", "http://127.0.0.1:9/v1", "--benchmark", "demo",
     "--dry-run", "--order", "both", "--prompt", "rating", "--temperature", "0", "--timeout", "1",
     "--price", "1,2", "--concurrency", "2", "--seed", "1"],
    ["run", "--benchmark", "@rows", "--subset", "s", "--limit", "2", "--columns", "prompt=prompt",
     "--dry-run", "--split", "x", "--data", "@rows"],
    ["show", "demo", "alpacaeval-easy/0", "--data", "@rows", "--data-revision", "r"],
    ["show", "@rows", "r0", "--model", "demo", "--date", "2024-07-26", "--specials", "template",
     "--max-length", "20", "--chat-template", "ultrarm"],
    ["score", "--model", "@classifier", "--input", "@talks", "--output", "out.jsonl",
     "--batch-tokens", "99", "--device", "cpu", "--dtype", "auto", "--revision", "r", "--pool",
     "last", "--engine", "auto", "--family", "classifier", "--reference", "none"],
    ["rank", "--model", "@classifier", "--input", "@ranked", "--output", "out.jsonl"],
    ["best-of-n", "--model", "@classifier", "--prompts", "@talks", "--output", "o", "--generator",
     "x", "--n", "2", "--temperature", "1", "--top-p", "1", "--top-k", "3", "--seed", "1",
     "--max-new-tokens", "2", "--timeout", "1"],
    ["pairs", "--input", "@ranked", "--output", "o", "--min-margin", "1", "--seed", "1",
     "--strategy", "all", "--format", "trl"],
    ["filter", "--model", "@classifier", "--input", "@rows", "--output", "o.jsonl", "--keep",
     "margin>=1", "--others", "p.jsonl", "--columns", "prompt=prompt"],
    ["aggregate", "@results/demo/a", "--weighting", "w"],
    ["overlap", "--train", "@rows", "@talks", "--benchmark", "demo", "--result", "@results/demo/a",
     "--least", "0.5", "--tokenizer", "@classifier", "--format", "json", "--output", "o.json"],
    ["compare", "@results/demo/a", "@results/demo/b", "--weighting", "w", "--pairs", "3"],
    ["check", "--result", "@results/demo/a", "--baseline", "published", "--max-drop", "1",
     "--alpha", "0.05", "--per", "section", "--junit", "j.xml", "--markdown", "m.md"],
    ["baseline", "@results/demo/a", "--output", "b.json"],
    ["ensemble", "@results/demo/a", "@results/demo/b", "--weights", "0.5,0.5", "--name", "n",
     "--output", "o", "--normalise", "minmax", "--config", "c.toml"],
    ["merge", "@classifier", "@classifier", "--weight", "0.5", "--output", "o"],
    ["leaderboard", "@results", "--benchmark", "demo", "--weighting", "w", "--sort", "Score",
     "--output", "l.txt", "--card", "c.csv", "--format", "table"],
    ["report", "@results/demo/a", "--output", "r.html", "--data", "@rows"],
    ["plot", "@results/demo/a", "--output", "plots", "--format", "png"],
    ["export", "@results/demo/a", "--format", "latex", "--readme", "r.md", "--output", "o.tex"],
    ["store", "@results"],
    ["list", "models"],
    ["doctor", "--model", "@classifier", "--device", "cpu"],
]  # fmt: skip


def options(folder: Path, random: Random, worlds: Path) -> list[str]:
    """A command line of which one or two words are not what they should be."""
    copy(folder / "results", worlds / "results")
    here = {"@results": folder / "results", "@classifier": worlds / "classifier"}
    for name in ("rows", "talks", "ranked"):  # a word may have them written over
        here[f"@{name}"] = Path(shutil.copy(worlds / f"{name}.jsonl", folder))
    command = list(random.choice(COMMANDS))
    kept = [at for at, word in enumerate(command) if at > 0 and not word.startswith("--")]
    wrong = set(random.sample(kept, min(len(kept), random.choice([1, 1, 2]))))
    told = []
    for at, word in enumerate(command):
        if at in wrong:
            told.append(random.choice([*WORDS, str(folder), str(folder / "rows.jsonl")]))
        elif word.startswith("@"):
            name, _, rest = word.partition("/")
            told.append(str(here[name] / rest))
        else:
            told.append(word)
    spare = {"--dry-run"} if command[0] == "run" else set[str]()
    if random.randrange(2):  # fewer options reach further
        told = _without_some(told, spare, random)
    return told


def _without_some(told: list[str], spare: set[str], random: Random) -> list[str]:
    kept, at = [], 0
    while at < len(told):
        named = told[at].startswith("--") and told[at] not in spare and at + 1 < len(told)
        if named and told[at] in OPTIONAL and random.randrange(2):
            at += 2
            continue
        kept.append(told[at])
        at += 1
    return kept


OPTIONAL = {
    "--family", "--reference", "--revision", "--pool", "--split", "--data", "--config",
    "--data-revision", "--weighting", "--date", "--chat-template", "--specials", "--readme",
    "--card", "--columns", "--subset", "--seed", "--weights", "--name", "--junit", "--markdown",
}  # fmt: skip


def unreadable(folder: Path, random: Random, worlds: Path) -> list[str]:
    """A file that is there, and cannot be read: a folder, a device that fails, a loop of links."""
    copy(folder / "results", worlds / "results")
    model = copy(folder / "model", worlds / random.choice(["classifier", "policy"]))
    result = folder / "results/demo/a"
    (folder / "x.toml").write_text('model = "demo"\n')
    (folder / "x.jinja").write_text(TEMPLATE)
    (folder / "base.json").write_bytes((ROOT / "results/baselines/demo.json").read_bytes())
    for name in ("rows", "ranked"):
        shutil.copy(worlds / f"{name}.jsonl", folder)
    (folder / "x.csv").write_text("model,benchmark\n")
    told = score(folder, model)
    choices: list[tuple[Path, list[str]]] = [
        *((model / file.name, told) for file in sorted(model.iterdir())),
        *((model / name, told) for name in ("tokenizer.model", "added_tokens.json", "vocab.json")),
        *((model / name, told) for name in ("chat_template.jinja", "README.md", "merges.txt")),
        *((model / name, told) for name in ("adapter_config.json", "generation_config.json")),
        (model / "model.safetensors.index.json", told),
        (folder / "talks.jsonl", told),
        (folder / "x.jinja", [*told, "--chat-template", str(folder / "x.jinja")]),
        (folder / "x.toml", ["run", "--config", str(folder / "x.toml"), "--dry-run"]),
        (folder / "rows.jsonl", ["show", str(folder / "rows.jsonl"), "r0"]),
        (folder / "ranked.jsonl", ["pairs", "--input", str(folder / "ranked.jsonl"),
                                   "--output", str(folder / "o")]),
        (folder / "ranked.jsonl.provenance.json",
         ["pairs", "--input", str(folder / "ranked.jsonl"), "--output", str(folder / "o")]),
        (folder / "base.json", ["check", "--result", str(result), "--baseline",
                                str(folder / "base.json")]),
        (result / "scores.jsonl", ["aggregate", str(result)]),
        (result / "result.json", ["aggregate", str(result)]),
        (folder / "x.csv", ["leaderboard", str(folder / "results"), "--card",
                            str(folder / "x.csv")]),
        (folder / "r.md", ["export", str(result), "--format", "model-index", "--readme",
                           str(folder / "r.md")]),
        (folder / "p.toml", ["run", "--model", "judge:m", "--endpoint", "http://127.0.0.1:9/v1",
                             "--dry-run", "--benchmark", "demo", "--prompt",
                             str(folder / "p.toml")]),
    ]  # fmt: skip
    path, command = random.choice(choices)
    path.unlink(missing_ok=True)
    how = random.randrange(4)
    if how == 0:
        path.mkdir()
    elif how == 1:
        path.symlink_to("/proc/self/mem")  # opens, and every read fails
    elif how == 2:
        path.symlink_to(path.name)
    else:
        path.symlink_to(LONG)
    return command


def store(folder: Path, random: Random, worlds: Path) -> list[str]:
    """What an interrupted run kept, damaged: then the same run, or `rmeval store`."""
    from rmeval.cli import main

    kept = folder / "kept"
    if not (worlds / "kept").exists():
        told = _run(worlds / "classifier", worlds / "rows.jsonl", worlds / "kept")
        assert main(told) == 0
    copy(kept, worlds / "kept")
    for result in kept.rglob("result.json"):
        if random.randrange(2):
            result.unlink()
    file = next(kept.rglob("*.sqlite"))
    if random.randrange(2):
        damaged(file, spoil_bytes(file.read_bytes(), random))
    else:
        _spoil_rows(file, random)
    if random.randrange(2):
        return ["store", str(kept)]
    return _run(worlds / "classifier", worlds / "rows.jsonl", kept)


def _run(model: Path, benchmark: Path, output: Path) -> list[str]:
    told = ["run", "--model", model, "--benchmark", benchmark, "--output", output, "--no-checks"]
    return [*map(str, told), "--device", "cpu"]


def _spoil_rows(file: Path, random: Random) -> None:
    """Changes what is in a sound file of sqlite."""
    import sqlite3
    from contextlib import closing

    change = random.choice(
        [
            "DROP TABLE batches",
            "DROP TABLE settings",
            "DELETE FROM settings",
            "UPDATE settings SET json = '[]'",
            "UPDATE settings SET json = '{}'",
            "UPDATE settings SET json = '{\"model\": 1}'",
            "UPDATE settings SET json = x'ff'",
            "UPDATE batches SET rewards = NULL",
            "UPDATE batches SET rewards = 'text'",
            "UPDATE batches SET rewards = 7",
            "UPDATE batches SET rewards = x'00'",
            "UPDATE batches SET checksum = 'x'",
            "UPDATE batches SET digest = 'x'",
            "ALTER TABLE batches RENAME COLUMN rewards TO x",
            "PRAGMA user_version = 7",
            "PRAGMA user_version = 0",
        ]
    )
    with closing(sqlite3.connect(file, isolation_level=None)) as database:
        try:
            database.execute(change)
        except sqlite3.IntegrityError:
            return


def drawn(folder: Path, random: Random, worlds: Path) -> list[str]:
    """What best-of-n kept, or the record beside ranked lines, damaged."""
    if random.randrange(2):
        shutil.copy(worlds / "ranked.jsonl", folder)
        record = {"model": {"name": "m"}, "versions": {"rmeval": "1"}, "lines_sha256": "x"}
        spoiled = spoil_json(json.dumps(record), random)
        (folder / "ranked.jsonl.provenance.json").write_bytes(spoiled)
        return ["pairs", "--input", str(folder / "ranked.jsonl"), "--output", str(folder / "o")]
    output = folder / "drawn"
    output.mkdir()
    (output / "candidates.unfinished").write_bytes(spoil_lines('[0, ["a"]]\n', random))
    settings = {"generator": "g", "n": 1, "seed": 0}
    (output / "sampling.json").write_bytes(spoil_json(json.dumps(settings), random))
    told = ["best-of-n", "--prompts", worlds / "talks.jsonl", "--generator", worlds / "policy"]
    return [*map(str, told), "--model", str(worlds / "classifier"), "--output", str(output)]


def environment(folder: Path, random: Random, worlds: Path) -> list[str]:
    """What a launcher or a workflow says, wrong; the case is told by its variables alone."""
    os.environ.update(  # taken back by the fixture
        {random.choice(["WORLD_SIZE", "LOCAL_RANK", "GITHUB_STEP_SUMMARY"]): random.choice(
            ["x", "", "-1", "0", "1.5", LONG, "/", " ", "²"]
        )}
    )  # fmt: skip
    verb = random.randrange(3)
    if verb == 0:
        told = ["check", "--result", str(worlds / "results/demo/a"), "--baseline"]
        return [*told, str(worlds / "base.json")]
    if verb == 1:
        return _run(worlds / "classifier", worlds / "rows.jsonl", folder / "out")
    return score(folder, worlds / "classifier")


KINDS: dict[str, tuple[Case, int]] = {
    "rows": (rows, 4),
    "results": (results, 4),
    "baseline": (baseline, 1),
    "config": (config, 4),
    "tokenizer": (tokenizer, 4),
    "weights": (weights, 2),
    "template": (template, 2),
    "recipe": (recipe, 3),
    "benchmark": (benchmark, 3),
    "options": (options, 6),
    "unreadable": (unreadable, 4),
    "store": (store, 2),
    "drawn": (drawn, 1),
    "environment": (environment, 1),
}
