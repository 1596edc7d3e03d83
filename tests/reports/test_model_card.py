"""A model card keeps every byte but those of its new results, and the Hub's library reads them."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from huggingface_hub import ModelCard, parse_eval_result_entries
from hypothesis import given, settings
from hypothesis import strategies as st
from measured import COMMIT, LOCAL, measured

from rmeval.errors import BadData, BadOption, one_line
from rmeval.reports.front_matter import FRONT
from rmeval.reports.model_card import (
    eval_results_path,
    eval_results_yaml,
    merge_into_readme,
    model_index,
    shown_metrics,
)

RESULT = measured("org/m", 9)
NEW = merge_into_readme("", [RESULT]).split("---\n")[1]  # the block alone

OTHERS = """\
model-index:
- name: m  # as on the shelf
  results:

  # measured by somebody else
  - task:
      type: text-generation
    dataset: {type: beans, name: "Beans, green"}
    metrics:
    - type: wer
      value:   0x10   # hexadecimal
      name: 'Test  WER'
    extra:
      kept: |
        - name: no item
        model-index: no key
"""
INDENTED = """\
model-index:
    -   name: m
        results:
            -
                task:
                    type: text-generation
                dataset:
                    type: beans
                    name: Beans
                metrics:
                    -   type: wer
                        value: 1
"""


def card_of(text: str, tmp_path: Path) -> ModelCard:
    path = tmp_path / "README.md"
    path.write_text(text, encoding="utf-8", newline="")
    return ModelCard.load(path)


def without(text: str, part: str) -> str:
    assert text.count(part) == 1
    return text.replace(part, "")


def indented(block: str, margin: str) -> str:
    """The items of NEW, below `results:`, at another margin."""
    lines = block.split("  results:\n")[1].splitlines()
    return "".join(margin + line.removeprefix("  ") + "\n" for line in lines)


def test_values_are_percent_to_two_digits() -> None:
    shown = shown_metrics(RESULT)
    assert list(shown) == ["Score", "Chat", "Chat Hard", "Safety", "Reasoning"]
    # Chat: five times 9 lost, of 358.
    assert shown["Chat"] == round(100 * (358 - 45) / 358, 2) == 87.43


def test_an_empty_readme_gets_metadata_that_the_hubs_library_reads(tmp_path: Path) -> None:
    card = card_of(merge_into_readme("", [RESULT]), tmp_path)
    assert card.data.eval_results == model_index(RESULT)
    assert card.data.model_name == "m"
    first = card.data.eval_results[0]
    assert (first.metric_name, first.dataset_type) == ("Score", "allenai/reward-bench")
    assert first.dataset_revision == COMMIT
    assert first.metric_args == {"weighting": "rewardbench-v1", "dtype": "bfloat16"}


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize(
    "body", ["", "# Model\n", "\n\nText\n---\nmore\n---\n", "no end of line", "ünïcödé 模型\n"]
)
def test_without_metadata_the_whole_readme_stays(
    body: str, mark: str, newline: str, tmp_path: Path
) -> None:
    text = mark + body.replace("\n", newline)
    merged = merge_into_readme(text, [RESULT])
    assert merged.startswith(f"{mark}---")
    assert merged.endswith(body.replace("\n", newline))
    newlines = "\r\n" if "\r\n" in text else "\n"
    added = merged[len(mark) : len(merged) - len(body.replace("\n", newline))]
    assert added == f"---\n{NEW}---\n".replace("\n", newlines)
    assert card_of(merged, tmp_path).data.eval_results == model_index(RESULT)
    assert merge_into_readme(merged, [RESULT]) == merged


HEADS = {
    "plain": "license: mit\ntags:\n- a\n- b\n",
    "odd": "# a comment\n\nlicense :   mit   # why\n\n\ntags: [ a,b ,  c]\n\n# the end\n",
    "block": "about: |\n  model-index:\n  - name: none\n  ---\n",
    "kept": "about: |+\n  text\n\n",
    "folded": 'about: >-\n  text\n  more\nquoted: "a\n  b"\n',
    "unicode": "language: [中文, ä]\nabout: naïve 🙂 \u2028 x\n",
    "anchors": "a: &x {b: 1}\nc: *x\nd:\n  <<: *x\n  e: 2024-01-02\n",
    "margin": "  license: mit\n  tags:\n  - a\n",
    "nothing": "",
    "comment": "# only this\n",
    "nan": "x: .nan\n",
}


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff", "\n \n"])
def test_new_results_come_after_metadata_that_has_none(
    head: str, newline: str, mark: str, tmp_path: Path
) -> None:
    before, after = f"{mark}---\n{HEADS[head]}", "---  \n\n# Text\n\n---\nmodel-index: text\n"
    before, after = before.replace("\n", newline), after.replace("\n", newline)
    merged = merge_into_readme(before + after, [RESULT])
    assert merged.startswith(before)
    assert merged.endswith(after)
    margin = "  " if head == "margin" else ""
    block = "".join(f"{margin}{line}\n" for line in NEW.splitlines()).replace("\n", newline)
    assert merged == before + block + after
    assert card_of(merged, tmp_path).data.eval_results == model_index(RESULT)
    assert merge_into_readme(merged, [RESULT]) == merged


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("last", ["", "license: mit\n", "\n# a comment\n\nlicense: mit # x\n"])
@pytest.mark.parametrize("first", ["", "tags:\n- a\n", "# a comment\n\n"])
@pytest.mark.parametrize(("block", "margin"), [(OTHERS, "  "), (INDENTED, " " * 12)])
def test_results_of_others_keep_their_bytes(
    block: str, margin: str, first: str, last: str, newline: str, tmp_path: Path
) -> None:
    before = f"---\n{first}{block}".replace("\n", newline)
    after = f"{last}---\nText\n".replace("\n", newline)
    merged = merge_into_readme(before + after, [RESULT])
    assert without(merged, indented(NEW, margin).replace("\n", newline)) == before + after
    found = card_of(merged, tmp_path).data.eval_results
    assert found[1:] == model_index(RESULT)
    assert found[0].metric_value in (16, 1)
    assert merge_into_readme(merged, [RESULT]) == merged


def test_an_older_value_is_replaced_where_it_stands() -> None:
    text = f"---\n{OTHERS}---\n"
    old, other = measured("org/m", 5), measured("org/m", 7, weighting="rewardbench-v1-2024-07")
    once = merge_into_readme(merge_into_readme(text, [old]), [other])
    twice = merge_into_readme(once, [RESULT])
    assert twice.count("name: Score") == 2
    place = once.index("weighting: rewardbench-v1\n")
    assert place < once.index("rewardbench-v1-2024-07")
    expected = merge_into_readme(merge_into_readme(text, [RESULT]), [other])
    assert twice == expected


def test_what_shares_an_item_with_a_replaced_value_stays(tmp_path: Path) -> None:
    """The Hub's library writes all metrics of a data set into one item."""
    other = measured("org/m", 7, weighting="rewardbench-v1-2024-07")
    text = merge_into_readme("", [measured("org/m", 5), other])
    card = card_of(text, tmp_path)
    card.save(tmp_path / "saved.md")
    saved = (tmp_path / "saved.md").read_text(encoding="utf-8")
    assert saved.count("- task:") == 1
    merged = merge_into_readme(saved, [RESULT])
    found = card_of(merged, tmp_path).data.eval_results
    assert found == [*model_index(RESULT), *model_index(other)]
    assert merge_into_readme(merged, [RESULT]) == merged


def test_local_rows_say_so_and_stand_beside_the_hubs(tmp_path: Path) -> None:
    local = measured("org/m", 9, data=LOCAL)
    merged = merge_into_readme(merge_into_readme("", [RESULT]), [local])
    found = card_of(merged, tmp_path).data.eval_results
    assert found == [*model_index(RESULT), *model_index(local)]
    assert found[-1].dataset_name == "rewardbench (local rows)"
    assert found[-1].dataset_revision is None


def test_rows_of_ones_own_are_named_as_they_are() -> None:
    own = measured(benchmark="mine", definition="pairs", data=LOCAL)
    assert model_index(own)[0].dataset_type == "mine"
    hub = {"source": "org/set", "revision": COMMIT}
    own = measured(benchmark="org__set", definition="pairs", data=hub)
    assert model_index(own)[0].dataset_type == "org/set"
    assert "id: org/set" in eval_results_yaml(own)


@pytest.mark.parametrize(
    "empty",
    ["model-index:\n", "model-index: []\n", "model-index:\n- name: m\n", "'model-index' : null\n"],
)
def test_an_empty_index_is_filled(empty: str, tmp_path: Path) -> None:
    text = f"---\na: 1\n{empty}b: 2 # x\n---\n"
    assert merge_into_readme(text, [RESULT]) == f"---\na: 1\n{NEW}b: 2 # x\n---\n"


def test_an_index_on_one_line_keeps_what_it_says(tmp_path: Path) -> None:
    item = "{task: {type: t}, dataset: {type: d, name: D}, metrics: [{type: x, value: 1}], y: 2}"
    text = f"---\na: 1\nmodel-index: [{{name: m, results: [{item}]}}] # x\nb: 2\n---\n"
    merged = merge_into_readme(text, [RESULT])
    front = FRONT.match(merged)
    assert front is not None
    items = yaml.safe_load(front["yaml"])["model-index"][0]["results"]
    assert items[0] == yaml.safe_load(item)
    assert len(items) == 2
    assert merged.startswith("---\na: 1\nmodel-index:\n")
    assert merged.endswith("\nb: 2\n---\n")
    assert merge_into_readme(merged, [RESULT]) == merged


def test_the_model_of_its_own_name_is_taken_among_several() -> None:
    several = INDENTED + INDENTED.replace("model-index:\n", "").replace("name: m", "name: n")
    text = f"---\n{several}---\n"
    merged = merge_into_readme(text, [measured("elsewhere/n", 9)])
    assert merged == f"---\n{several}{indented(NEW, ' ' * 12)}---\n"
    with pytest.raises(BadData, match="several models, and none is k"):
        merge_into_readme(text, [measured("org/k", 9)])


@pytest.mark.parametrize(
    "text",
    [
        "---\nlicense: [mit\n---\n",
        "---\na: b: c\n---\n",
        "---\n\tlicense: mit\n---\n",
        "---\njust text\n---\n",
        "---\n- a\n---\n",
        "---\na: 2024-13-45\n---\n",
        "---\n*x\n---\n",
        "---\na: !!python/object:os.system {}\n---\n",
        "---\na: 1\n--- \n".replace("--- \n", "..\n"),
        "---\nlicense: mit\n",
        "---",
        "---\n{license: mit}\n---\n",
        "---\nmodel-index: [1]\n---\n",
        "---\nmodel-index: text\n---\n",
        "---\nmodel-index:\n- name: m\n  results: text\n---\n",
        "---\nmodel-index:\n- name: m\n  results:\n  - text\n---\n",
        "---\nmodel-index:\n- name: m\n  results:\n  - dataset: {}\n---\n",
        "---\nmodel-index: []\nmodel-index: []\n---\n",
        f"---\nx: {'[' * 3000}\n---\n",
        "---\na: \x07\n---\n",
    ],
)
def test_metadata_that_cannot_be_edited_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(BadData) as error:
        merge_into_readme(text, [RESULT])
    assert str(error.value) == one_line(str(error.value))


def test_an_item_behind_an_alias_is_never_damaged() -> None:
    head = OTHERS.replace("model-index:\n", "").replace("- name: m  # as on the shelf\n", "")
    item = head.replace("  results:\n", "").replace("  - task", "  - &one\n    task")
    text = f"---\nx:\n{item}model-index:\n- name: m\n  results:\n  - *one\n---\n"
    try:
        merged = merge_into_readme(text, [RESULT])
    except BadData:
        return
    front = FRONT.match(merged)
    assert front is not None
    found = yaml.safe_load(front["yaml"])
    assert found["model-index"][0]["results"][0] == found["x"][0]


def test_results_that_cannot_stand_in_one_card_are_refused() -> None:
    with pytest.raises(BadOption, match="a model card is of one model"):
        merge_into_readme("", [measured("a"), measured("b")])
    with pytest.raises(BadOption, match="of the same rows and weighting"):
        merge_into_readme("", [measured("a"), measured("a", 5)])


def test_a_partial_result_is_refused() -> None:
    partial = measured(partial="9 of 2985 rows (--limit)")
    for export in (model_index, eval_results_yaml):
        with pytest.raises(BadData, match=r"no Score to export \(9 of 2985 rows \(--limit\)\)"):
            export(partial)


def test_eval_results_are_what_the_hubs_library_parses() -> None:
    parsed = parse_eval_result_entries(yaml.safe_load(eval_results_yaml(RESULT)))
    shown = shown_metrics(RESULT)
    assert [entry.value for entry in parsed] == list(shown.values())
    assert [entry.task_id for entry in parsed] == [
        "default", "chat", "chat_hard", "safety", "reasoning",
    ]  # fmt: skip
    assert {entry.dataset_id for entry in parsed} == {"allenai/reward-bench"}
    assert {entry.dataset_revision for entry in parsed} == {COMMIT}
    assert {entry.date for entry in parsed} == {"2026-01-02T03:04:05+00:00"}
    assert {entry.notes for entry in parsed} == {"rmeval 0.9, bfloat16, rewardbench-v1 weighting"}


def test_eval_results_of_local_rows_are_refused() -> None:
    with pytest.raises(BadData, match="its rows are not from the Hub"):
        eval_results_yaml(measured(data=LOCAL))


def test_the_path_on_the_hub_stays_in_its_folder() -> None:
    assert eval_results_path(RESULT) == ".eval_results/rewardbench.yaml"
    assert "/" not in eval_results_path(measured(benchmark="../../x y"))[len(".eval_results/") :]


WORDS = st.text("ab: -#'\"|>[]{}&*!%@\\äß模\u2028\t ", max_size=12)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | WORDS | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=6,
)
ITEMS = st.fixed_dictionaries(
    {
        "task": st.fixed_dictionaries({"type": WORDS}),
        "dataset": st.fixed_dictionaries({"type": WORDS, "name": WORDS}),
        "metrics": st.lists(
            st.fixed_dictionaries({"type": WORDS, "value": VALUES}, optional={"args": VALUES}),
            max_size=2,
        ),
    },
    optional={"source": VALUES},
)


@settings(max_examples=150, deadline=None)
@given(
    head=st.dictionaries(WORDS, VALUES, max_size=3),
    items=st.lists(ITEMS, max_size=3),
    tail=st.dictionaries(WORDS.map(lambda w: "t" + w), VALUES, max_size=2),
    body=st.text("a-\n\r# ", max_size=12),
    newline=st.sampled_from(["\n", "\r\n"]),
    indent=st.sampled_from([2, 4]),
)
def test_whatever_else_a_card_holds_survives(
    head: Any, items: Any, tail: Any, body: str, newline: str, indent: int
) -> None:
    index = {"model-index": [{"name": "m", "results": items}]}
    parts = [
        yaml.safe_dump(part, sort_keys=False, allow_unicode=True, indent=indent).replace(
            "\n", newline
        )
        if part
        else ""
        for part in (head, index, tail)
    ]
    text = f"---{newline}{''.join(parts)}---{newline}{body}"
    merged = merge_into_readme(text, [RESULT])
    assert merge_into_readme(merged, [RESULT]) == merged
    front, before = FRONT.match(merged), FRONT.match(text)
    assert front is not None
    assert before is not None
    assert merged.endswith(f"---{newline}{body}")
    found, was = yaml.safe_load(front["yaml"]), yaml.safe_load(before["yaml"])
    results = found.pop("model-index")[0]["results"]
    assert results[: len(items)] == was.pop("model-index")[0]["results"]
    assert len(results) == len(items) + 1
    assert found == was
    assert merged.startswith(f"---{newline}{parts[0]}")
    assert f"{parts[2]}---{newline}" in merged
    if items:
        assert parts[1] in merged
