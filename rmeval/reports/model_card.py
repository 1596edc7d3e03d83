"""Results as the Hub shows them: a model card's `model-index`, and `.eval_results/*.yaml`.

Both through huggingface_hub's own classes. Values are percentages, as on the Hub's leaderboards.
Sources: github.com/huggingface/hub-docs, modelcard.md and eval_results.yaml.
"""

import re
from collections.abc import Sequence
from typing import Any

from huggingface_hub import EvalResult, EvalResultEntry, eval_result_entries_to_yaml
from huggingface_hub.repocard_data import eval_results_to_model_index

from rmeval.benchmarks import repository_of
from rmeval.errors import BadData, BadOption
from rmeval.metrics.names import OVERALL, Metric
from rmeval.records import Result
from rmeval.reports.front_matter import Item, dump, merge_items

TASK = "text-classification"
METRIC = "accuracy"


def shown_metrics(result: Result) -> dict[str, float]:
    """Returns the Score and the sections in percent, to two digits.

    Raises BadData for a partial result.
    """
    if result.overall is None or result.partial:
        reason = result.partial or "a section is not whole"
        raise BadData(f"{result.folder}: no Score to export ({reason})")
    values = result.metrics.values
    sections = [name for name in map(Metric, values) if name.level == ("section", False)]
    return {name.column: round(100 * values[name], 2) for name in [OVERALL, *sections]}


def data_set_of(result: Result) -> str | None:
    """Returns the Hub's data set that a result's rows are from, or None for local rows."""
    data = result.provenance["data"]
    return None if data["revision"] is None else str(data["source"])


def model_index(result: Result) -> list[EvalResult]:
    """Returns a result as the entries of a model card's metadata. Raises BadData."""
    published = repository_of(result.definition)
    data_set = data_set_of(result)
    return [
        EvalResult(
            task_type=TASK,
            task_name="Reward modelling",
            dataset_type=data_set or published or result.benchmark,
            dataset_name=result.benchmark + ("" if data_set else " (local rows)"),
            dataset_revision=result.provenance["data"]["revision"],
            metric_type=METRIC,
            metric_name=name,
            metric_value=value,
            metric_args={"weighting": result.weighting, "dtype": _dtype(result)},
        )
        for name, value in shown_metrics(result).items()
    ]


def eval_results_yaml(result: Result) -> str:
    """Returns a result as the content of `.eval_results/<benchmark>.yaml`.

    Raises BadData for rows that are not the Hub's: nobody could check such an entry.
    """
    data_set = data_set_of(result)
    if data_set is None:
        raise BadData(
            f"{result.folder}: its rows are not from the Hub; run it without `data=`, or "
            "export the format model-index"
        )
    entries = [
        EvalResultEntry(
            dataset_id=data_set,
            task_id="default" if name == "Score" else name.lower().replace(" ", "_"),
            value=value,
            dataset_revision=result.provenance["data"]["revision"],
            date=result.provenance["started"],
            notes=f"rmeval {result.provenance['versions']['rmeval']}, {_dtype(result)}, "
            f"{result.weighting} weighting",
        )
        for name, value in shown_metrics(result).items()
    ]
    return dump(eval_result_entries_to_yaml(entries))


def eval_results_path(result: Result) -> str:
    """Returns where the Hub looks for `eval_results_yaml`, below a model's repository."""
    name = re.sub(r"[^\w.-]+", "-", result.benchmark)
    return f".eval_results/{name}.yaml"


def merge_into_readme(text: str, results: Sequence[Result]) -> str:
    """Returns a README with the results of one model in its metadata; the rest of it as it was.

    What it has of the same data set, weighting and metric is replaced, all else stays. Raises
    BadData for metadata that cannot be read, BadOption for results that cannot stand together.
    """
    models = sorted({result.model for result in results})
    if len(models) > 1:
        raise BadOption(f"a model card is of one model, but these results are of {models}")
    name = models[0].rstrip("/").rsplit("/", 1)[-1]
    items = [_item(name, result) for result in results]
    keys = [key for item in items for key in _keys(item)]
    if len(set(keys)) < len(keys):
        raise BadOption("two of these results are of the same rows and weighting: pass one")
    return merge_items(text, name, items, _replace)


def _item(name: str, result: Result) -> Item:
    item: Item = eval_results_to_model_index(name, model_index(result))[0]["results"][0]
    return item


def _replace(old: Sequence[Item], new: Sequence[Item]) -> list[list[Item]]:
    """Returns what takes each old item's place: itself, what is left of it, or the new ones."""
    replaced = [key for item in new for key in _keys(item)]
    plan: list[list[Item]] = []
    first = None
    for number, item in enumerate(old):
        keys = _keys(item)
        pairs = list(zip(item["metrics"], keys, strict=True))
        kept = [metric for metric, key in pairs if key not in replaced]
        if len(kept) == len(pairs):
            plan.append([item])
            continue
        first = number if first is None else first
        plan.append([{**item, "metrics": kept}] if kept else [])
    if first is not None:
        plan[first] = [*new, *plan[first]]
    elif plan:
        plan[-1] = [*plan[-1], *new]
    return plan


def _keys(item: Any) -> list[tuple[Any, ...]]:
    """Returns what each metric of an item is of. Raises BadData for what is no such item."""
    try:
        data = (item["dataset"]["type"], item["dataset"]["name"])
        metrics = [(metric.get("name"), metric.get("args")) for metric in item["metrics"]]
    except (KeyError, TypeError, AttributeError) as error:
        raise BadData("the README's model-index cannot be read; fix it first") from error
    return [
        (*data, name, args.get("weighting") if isinstance(args, dict) else None)
        for name, args in metrics
    ]


def _dtype(result: Result) -> str:
    return str(result.provenance["model"]["dtype"])
