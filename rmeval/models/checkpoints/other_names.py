"""Names of models that share the layout of a reward model and are of another kind.

They tell before anything is downloaded what such a model is; `other_kinds` asks the files of one
that is here.
"""

import re

from rmeval.errors import BadCheckpoint
from rmeval.hub import local_folder, local_path

PROCESS = re.compile(  # Qwen2.5-Math-PRM-7B, math-shepherd-mistral-7b-prm, EurusPRM-Stage2
    r"(?i:(?<![a-z])prm(?![a-z])[^/]*$|math-shepherd[^/]*$)|(?<![A-Z])PRM(?![a-zA-Z])[^/]*$"
)
POLAR = re.compile(r"(^|/)polar(?![a-z])[^/]*$", re.IGNORECASE)
POLAR_IS = "compares an answer with a reference answer, and without a reference there is no score"
PROCESS_IS = "it scores the steps of a solution, and rmeval needs one reward for a whole answer"


def refuse_names(name: str, without_reference: str | None = None) -> None:
    """Raises BadCheckpoint for what is no folder here and, by its name, of another kind.

    So nothing is downloaded of it. What is a folder is told by its files. `without_reference` says
    which rows have none, for a model that compares with one.
    """
    if local_folder(name) is not None:
        return
    if POLAR.search(name.rstrip("/")) and (without_reference or _not_here(name)):
        lacking = f"; {without_reference} has none" if without_reference else ""
        raise BadCheckpoint(f"{name}{_not_here(name)}: POLAR, by its name, {POLAR_IS}{lacking}")
    if PROCESS.search(name.rstrip("/")):
        raise BadCheckpoint(
            f"{name}{_not_here(name)}: a process reward model by its name: {PROCESS_IS}; if it is "
            "an outcome reward model, pass `family=`"
        )


def _not_here(name: str) -> str:
    """Says of a path, which no name on the Hub can be, that it is none of a folder."""
    if local_path(name) is not None:
        return " is a file, not a folder"
    on_hub = name.count("/") == 1 and not name.startswith((".", "/", "~"))
    return "" if on_hub else " is not a folder on this machine"
