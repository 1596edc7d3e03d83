"""Which rows of a benchmark stand in training data: held to a naive count of the same."""

import csv
import gzip
import json
import random
import string
import unicodedata
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from measured import measured

import rmeval
from rmeval import BadData, BadOption, load_benchmark
from rmeval.benchmarks import scheme_of
from rmeval.benchmarks.overlap import Index, Words, plain_word, training_texts
from rmeval.metrics.accuracy import subset_rows
from rmeval.verbs.overlap import overlap

KINDS = ("exact", "13 words", "8 words")


def naive_words(text: str) -> list[str]:
    """GPT-3's words, character by character; a Chinese or Japanese one is a word of its own."""
    words, word = [], ""
    for letter in text.lower() + " ":
        if letter.isspace() or unicodedata.name(letter, "").startswith(
            ("CJK UNI", "CJK COM", "HIRA", "KATA")
        ):
            words += [word, "" if letter.isspace() else letter]
            word = ""
        elif unicodedata.category(letter)[0] not in "PS":
            word += letter
    return [word for word in words if word]


def naive_runs(text: str, n: int) -> list[tuple[str, ...]]:
    words = naive_words(text)
    return [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]


def naive_share(text: str, n: int, known: set[tuple[str, ...]]) -> float:
    """The share of a text's words that stand in a run of n that is known."""
    words, runs = naive_words(text), naive_runs(text, n)
    inside = {i + k for i, run in enumerate(runs) if run in known for k in range(n)}
    return len(inside) / len(words) if words else 0.0


def naive_overlap(
    rows: Iterable[tuple[str, list[str], list[str]]], texts: list[str]
) -> dict[str, tuple[dict[str, float], dict[str, float]]]:
    """What `overlap` must find: by id, of the prompt and of the responses, shares by kind."""
    whole = {tuple(naive_words(text)) for text in texts} - {()}
    known = {n: {run for text in texts for run in naive_runs(text, n)} for n in (13, 8)}
    found = {}
    for name, prompts, responses in rows:
        sides = []
        for side in (prompts, responses):
            shares: dict[str, float] = {}
            for text in side:
                made = {"exact": float(tuple(naive_words(text)) in whole)}
                made |= {f"{n} words": naive_share(text, n, known[n]) for n in (13, 8)}
                shares |= {k: max(v, shares.get(k, 0.0)) for k, v in made.items() if v}
            sides.append(shares)
        if any(sides):
            found[name] = (sides[0], sides[1])
    return found


def invented(seed: int) -> tuple[list[dict[str, str]], list[dict[str, Any]]]:
    """Benchmark rows and training rows of few words, so that runs are shared by chance and cut."""
    rng = random.Random(seed)
    words = ["red", "Blue,", "GREEN", "it's", "--", "東京は", "x=1", "naïve", "\n", "(one)"]

    def text(most: int) -> str:
        return " ".join(rng.choices(words, k=rng.randint(0, most))) or "."

    rows = [
        {"id": str(i), "prompt": text(20), "chosen": text(30), "rejected": text(12) + "!"}
        for i in range(40)
    ]
    train: list[dict[str, Any]] = []
    for _ in range(30):
        source = rng.choice(rows)[rng.choice(["prompt", "chosen", "rejected"])]
        first = rng.randint(0, max(0, len(source) - 5))
        part = source[first:] if rng.random() < 0.7 else source
        train.append({"a": {"deep": [part.upper(), text(9)]}, "number": 3, "none": None})
    return rows, train


@pytest.mark.parametrize("seed", range(12))
def test_what_is_found_is_what_a_naive_count_finds(seed: int) -> None:
    rows, train = invented(seed)
    found = overlap(train, load_benchmark(rows))
    texts = [text for row in train for text in row["a"]["deep"]]
    wanted = naive_overlap(
        ((row["id"], [row["prompt"]], [row["chosen"], row["rejected"]]) for row in rows), texts
    )
    assert found.train_rows == len(train)
    assert {row.id for row in found.rows} == wanted.keys()
    assert wanted, "nothing is shared: the test would prove nothing"
    for row in found.rows:
        for made, side in zip((row.prompt, row.responses), wanted[row.id], strict=True):
            assert made == pytest.approx(side)
    for kind in KINDS:
        touched = {name for name, sides in wanted.items() if any(kind in side for side in sides)}
        assert found.touched(kind) == touched


def test_real_texts_are_found_as_the_naive_count_finds_them(shared: Path) -> None:
    def lines(name: str) -> list[dict[str, Any]]:
        with (shared / "benchmarks" / name).open(encoding="utf-8") as stream:
            return [json.loads(line) for line in stream]

    rows = [
        {
            "id": row["id"],
            "prompt": row["prompt"],
            "chosen": row["chosen"],
            "rejected": row["rejected"],
        }
        for row in lines("rewardbench_v1_exact14.jsonl")[::7]
    ]
    train = [
        {"messages": row["prompt"], "answer": row["chosen"]} for row in lines("xstest_pairs.jsonl")
    ]
    train += rows[::5]
    found = overlap(train, load_benchmark(rows))
    texts = [text for row in train for talk in training_texts(row) for text in talk]
    wanted = naive_overlap(
        (
            (
                row["id"],
                [turn["content"] for turn in row["prompt"]],
                [*row["chosen"], *row["rejected"]],
            )
            for row in rows
        ),
        texts,
    )
    assert {row.id for row in found.rows} == wanted.keys()
    assert len(wanted) >= len(rows[::5])
    for kind in KINDS:
        assert len(found.touched(kind)) == sum(
            any(kind in s for s in sides) for sides in wanted.values()
        )


ASKED = "How many people live in the city of Rome today?"
ANSWER = "Some two million eight hundred thousand of them live in old Rome now, I think."


def one_row(**changes: Any) -> rmeval.Benchmark:
    return load_benchmark(
        [{"id": "r", "prompt": ASKED, "chosen": ANSWER, "rejected": "No.", **changes}]
    )


def kinds_of(
    train: list[Mapping[str, Any]], benchmark: rmeval.Benchmark
) -> tuple[set[str], set[str]]:
    rows = overlap(train, benchmark).rows
    return (set(rows[0].prompt), set(rows[0].responses)) if rows else (set(), set())


@pytest.mark.parametrize(
    ("train", "prompt", "responses"),
    [
        ({"text": ASKED}, {"exact", "8 words"}, set()),
        ({"text": ASKED.upper().replace("?", " !!")}, {"exact", "8 words"}, set()),
        ({"text": f"so {ASKED} yes"}, {"8 words"}, set()),
        ({"text": "How many people live in the town of Rome today?"}, set(), set()),
        ({"text": f"\n\nHuman: {ASKED}\n\nAssistant: No."}, {"exact", "8 words"}, {"exact"}),
        ({"chosen": [{"role": "user", "content": ASKED}]}, {"exact", "8 words"}, set()),
        ({"c": [{"from": "human", "value": ANSWER}]}, set(), {"exact", "13 words", "8 words"}),
        ({"text": "people live in the city of Rome today"}, {"8 words"}, set()),
        ({"text": "no"}, set(), {"exact"}),
        ({"text": ["no", "?"]}, set(), {"exact"}),
        ({"text": None, "number": 3.5, "flag": True}, set(), set()),
    ],
)
def test_what_stands_in_a_row_is_found_whatever_its_layout(
    train: dict[str, Any], prompt: set[str], responses: set[str]
) -> None:
    assert kinds_of([train], one_row()) == (prompt, responses)


def test_a_run_does_not_reach_from_one_text_into_the_next() -> None:
    half, rest = "How many people live", "in the city of Rome today?"
    assert kinds_of([{"a": half, "b": rest}, {"a": [half, rest]}], one_row()) == (set(), set())


def test_a_prompt_of_several_turns_is_whole_where_a_conversation_begins_with_it() -> None:
    talk = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]
    talk.append({"role": "user", "content": "Where is it?"})
    benchmark = one_row(prompt=[{"role": "system", "content": "Be kind."}, *talk])
    system = {"role": "system", "content": "Other."}
    more = {"role": "assistant", "content": "There."}
    assert "exact" in kinds_of([{"m": [system, *talk, more]}], benchmark)[0]
    assert "exact" not in kinds_of([{"m": [*talk[:2], more]}], benchmark)[0]
    assert "exact" not in kinds_of([{"m": talk[1:]}], benchmark)[0]


def test_a_text_counts_from_the_least_share_that_is_asked_for() -> None:
    train = [{"text": "people live in the city of Rome today"}]
    for least, touched in ((0.0, True), (0.79, True), (0.81, False)):
        found = overlap(train, one_row(chosen="Yes."), least=least)
        (row,) = found.rows
        assert row.prompt["8 words"] == pytest.approx(8 / 10)
        assert ("r" in found.touched("8 words")) == touched
    with pytest.raises(BadOption, match="a share is from 0 to 1"):
        overlap(train, one_row(), least=1.5)


def write(folder: Path, name: str, rows: list[dict[str, str]]) -> Path:
    path = folder / name
    if name.endswith(".parquet"):
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif name.endswith(".csv"):
        with path.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    else:
        text = (
            json.dumps(rows)
            if name.endswith(".json")
            else "".join(f"{json.dumps(r)}\n" for r in rows)
        )
        path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return path


@pytest.mark.parametrize("name", ["t.jsonl", "t.jsonl.gz", "t.json", "t.csv", "t.parquet"])
def test_every_kind_of_file_is_read_and_the_row_is_named(name: str, tmp_path: Path) -> None:
    path = write(tmp_path, name, [{"a": "nothing", "b": "here"}, {"a": ASKED, "b": "x"}])
    found = overlap(path, one_row())
    assert (found.train, found.train_rows) == ((str(path),), 2)
    (row,) = found.rows
    assert row.place.startswith(str(path))
    assert row.place.endswith("2") or row.place.endswith("3")  # csv has a header


def test_several_files_and_folders_are_one_stream_and_the_first_row_is_named(
    tmp_path: Path,
) -> None:
    one = write(tmp_path, "one.jsonl", [{"a": "nothing"}])
    (tmp_path / "more").mkdir()
    for name in ("b.jsonl", "a.jsonl"):
        write(tmp_path / "more", name, [{"a": ASKED}, {"a": ANSWER}])
    found = overlap([one, tmp_path / "more"], one_row())
    assert found.train_rows == 5
    assert found.rows[0].place == f"{tmp_path}/more/a.jsonl line 1"


def test_what_is_no_training_data_is_one_line(tmp_path: Path) -> None:
    for path, complaint in (
        (tmp_path / "none.jsonl", "no such file or folder"),
        (write(tmp_path, "x.txt", []), "cannot be read; known"),
        (write(tmp_path, "empty.jsonl", []), "no rows"),
    ):
        with pytest.raises(BadData, match=complaint):
            overlap(path, one_row())
    with pytest.raises(BadOption, match=r"no such file; pass a tokenizer\.json"):
        overlap([{"a": "b"}], one_row(), tokenizer=tmp_path / "none")
    (tmp_path / "tokenizer.json").write_text("{}", encoding="utf-8")
    with pytest.raises(BadOption, match=r"not a tokenizer\.json"):
        overlap([{"a": "b"}], one_row(), tokenizer=tmp_path)


def test_a_tokenizers_runs_are_of_its_tokens(tmp_path: Path) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers

    letters = {letter: i for i, letter in enumerate(string.ascii_letters + ".,?")}
    tokenizer = Tokenizer(models.WordLevel(letters | {"<unk>": len(letters)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    found = overlap([{"a": "Rome now, I thin"}], one_row(), tokenizer=tmp_path)
    assert found.kinds == ("exact", "13 tokens", "8 words")
    assert set(found.rows[0].responses) == {"13 tokens"}
    assert not overlap([{"a": "Rome now, I thin"}], one_row()).rows


def test_the_score_without_touched_rows_is_that_of_the_others() -> None:
    made = measured(lost=5)
    benchmark = load_benchmark("demo")  # any rows: the result is made over them
    scored = tuple(item for item in made.scored if int(item.id.rpartition("/")[2]) < 6)
    assert len(scored) > 100
    preferences = [
        rmeval.Preference(
            item.id, item.subset, (rmeval.Message("user", f"ask {item.id} now"),), ("a b", "c")
        )
        for item in scored
    ]
    digests = {item.id: item.digest for item in preferences}
    from dataclasses import replace

    scored = tuple(replace(item, digest=digests[item.id]) for item in scored)
    result = replace(made, scored=scored)
    benchmark = replace(benchmark, preferences=tuple(preferences), definition="rewardbench")
    train = [{"q": f"Ask {item.id} NOW!"} for item in scored if item.id.endswith("/5")]
    found = overlap(train, benchmark, results=result)
    left = [item for item in scored if not item.id.endswith("/5")]
    exact, long, _ = found.without
    assert (exact.kind, exact.rows) == ("exact", len(left))
    scheme = scheme_of("rewardbench").with_rows(subset_rows(left))
    assert exact.metrics.values == scheme.metrics(left, made.weighting).values
    assert exact.metrics.values["overall"] == 0.0  # of each subset the first five are lost
    assert long.rows == len(scored)


def test_a_result_of_other_rows_is_refused() -> None:
    with pytest.raises(
        BadData, match="is not one of demo's here; pass the rows that it was made of"
    ):
        overlap([{"a": "b"}], load_benchmark("demo"), results=measured())


def test_words_are_lowercase_without_punctuation_and_nothing_else() -> None:
    assert plain_word("(It's!)") == "its"
    assert plain_word("$x_1+y") == "x1y"
    assert plain_word("—") == ""
    words = Words()
    cut = words.cut(["It's A naïve—test", " … ", "東京 is big"], learn=True)
    assert cut.lengths.tolist() == [3, 0, 4]
    assert words.cut(["its a other"]).ids.tolist() == [*cut.ids.tolist()[:2], 0]


def test_runs_that_share_a_hash_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a factor of 1 a hash is a sum, which the order of words does not change."""
    monkeypatch.setattr("rmeval.benchmarks.overlap.FACTOR", 1)
    forward = "one two three four five six seven eight"
    backward = " ".join(reversed(forward.split()))
    index = Index.of([[forward], [backward]])
    index.seek([("here", [[backward]])])
    assert [set(index.finding(text).shares) for text in (0, 1)] == [set(), {"exact", "8 words"}]
