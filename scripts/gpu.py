"""What the engine does on a GPU: steps, each with its figure beside what is expected of it.

    scripts/gpu                     all of them on this machine's first GPU, under ten minutes
    scripts/gpu --rehearse          the same steps on a CPU, with tiny shapes: does the script run?
    scripts/gpu --table gpu.json    a table in Markdown of what a run has written

It ends in a verdict, and in a JSON file (--json) with every figure. Expected seconds are those of
scripts/gpu_model.py for the card at hand.
"""

import argparse
import gc
import importlib.util
import json
import sys
import time
import traceback
from pathlib import Path
from subprocess import SubprocessError
from typing import Any

from gpu_steps import STEPS, Finding

NEEDED = ("torch", "transformers", "accelerate", "safetensors", "tokenizers", "tabulate", "numpy")
WORDS = {True: "as expected", False: "NOT AS EXPECTED", None: "to read"}
BROKEN = (RuntimeError, AssertionError, OSError, SystemExit, TypeError, ValueError, SubprocessError)


def main() -> int:
    """Makes the steps, prints each as it ends, and the verdict. Returns the exit status."""
    options = parse_options()
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        names = " ".join(missing)
        print(f"missing here: {names}; where there is a package index:", file=sys.stderr)
        print(f"  pip download --no-deps --dest wheels {names}", file=sys.stderr)
        print("and bring the folder wheels/ here, beside scripts/", file=sys.stderr)
        return 2
    if options.table:
        print(table(json.loads(options.table.read_text())))
        return 0
    found: dict[str, dict[str, Any]] = {}
    for step in [step for step in STEPS if not options.only or step.__name__ in options.only]:
        started = time.perf_counter()
        try:
            finding = step(options)
        except BROKEN as error:
            traceback.print_exc()
            finding = Finding(f"{type(error).__name__}: {error}", "runs", False)
        seconds = time.perf_counter() - started
        gc.collect()  # a model of the last step is in the way of the next
        word = WORDS[finding.holds]
        print(f"{step.__name__:<15} {seconds:5.0f} s  {word}: {finding.figure}", flush=True)
        print(f"{'':<15}          expected: {finding.expected}", flush=True)
        found[step.__name__] = {"seconds": round(seconds, 1), **finding._asdict()}
    wrong = [name for name, each in found.items() if each["holds"] is False]
    kept = {"rehearsed": options.rehearse, "wrong": wrong, "steps": found}
    options.json.write_text(json.dumps(kept, indent=1) + "\n")
    sound = "all steps run; nothing was measured" if options.rehearse else "all as expected"
    print(f"\n{'not as expected: ' + ', '.join(wrong) if wrong else sound}")
    print(f"kept in {options.json}")
    return 1 if wrong else 0


def table(kept: dict[str, Any]) -> str:
    """Returns what a run has written as a table for the documents."""
    from rmeval.reports.tables import format_rows

    rows = [
        {
            "step": name,
            "found": step["figure"],
            "expected": step["expected"],
            "": WORDS[step["holds"]],
        }
        for name, step in kept["steps"].items()
    ]
    rehearsed = "Rehearsed on a CPU: no figure here is a GPU's.\n\n" if kept["rehearsed"] else ""
    return rehearsed + format_rows(rows, "markdown")


def parse_options() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rehearse", action="store_true", help="on a CPU, with tiny shapes")
    parser.add_argument(
        "--only", nargs="*", metavar="STEP", help=" ".join(s.__name__ for s in STEPS)
    )
    parser.add_argument("--json", type=Path, default=Path("gpu.json"))
    parser.add_argument("--table", type=Path, metavar="gpu.json", help="print it, and run nothing")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
