"""The JSON files of a checkpoint."""

import json
import os
from pathlib import Path
from typing import Any

from rmeval.errors import BadCheckpoint
from rmeval.files import reading


def read_object(path: Path) -> dict[str, Any]:
    """Returns the object in one of a checkpoint's JSON files. Raises BadCheckpoint."""
    if not os.path.lexists(path):
        raise BadCheckpoint(f"{path.parent}: no {path.name} in this folder")
    try:
        with reading(path, BadCheckpoint):
            content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise BadCheckpoint(f"{path}: not valid JSON ({error})") from error
    if not isinstance(content, dict):
        raise BadCheckpoint(f"{path}: expected an object")
    return content
