"""The JSON files of a checkpoint."""

import json
from pathlib import Path
from typing import Any

from rmeval.errors import BadCheckpoint


def read_object(path: Path) -> dict[str, Any]:
    """Returns the object in one of a checkpoint's JSON files. Raises BadCheckpoint."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise BadCheckpoint(f"{path.parent}: no {path.name} in this folder") from error
    except ValueError as error:
        raise BadCheckpoint(f"{path}: not valid JSON ({error})") from error
    if not isinstance(content, dict):
        raise BadCheckpoint(f"{path}: expected an object")
    return content
