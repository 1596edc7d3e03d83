"""The folders that golden cases lie in."""

import json
import shutil
from pathlib import Path
from typing import Any

from conversations import CONVERSATIONS, Conversation
from kinds import Kind
from recipes import Recipe
from transformers import AutoTokenizer

OUT = Path(__file__).parents[2] / "tests" / "golden_text"


def write_json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def write_rows(folder: Path, rows: list[dict[str, Any]]) -> None:
    lines = (json.dumps(row) + "\n" for row in rows)  # ASCII: U+2028 ends no line
    (folder / "cases.jsonl").write_text("".join(lines), encoding="utf-8")


def write_recipe(folder: Path, recipe: Recipe) -> None:
    said = {"specials": recipe.specials, "by_name": recipe.by_name, "memory": recipe.memory}
    write_json(folder / "recipe.json", {**said, "source": recipe.source})


def fresh(folder: Path, kind: Kind, template: str, *, fast: bool = True) -> Any:
    """Returns the tokenizer of an emptied folder, as 4.57.6's AutoTokenizer reads it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    kind(folder)
    (folder / "chat_template.jinja").write_text(template, encoding="utf-8")
    return AutoTokenizer.from_pretrained(folder, use_fast=fast)


def chosen(recipe: Recipe) -> list[Conversation]:
    return [talk for talk in CONVERSATIONS if not talk.holds & recipe.skip]
