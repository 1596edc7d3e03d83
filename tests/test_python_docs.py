"""Python in the documents: it runs, and mypy --strict takes it from outside."""

import doctest
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import rmeval

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
CONFIG = """
[mypy]
strict = true
follow_imports = silent
[mypy-torch.*,transformers.*,datasets.*,trl.*,scipy.*,numpy.*]
ignore_missing_imports = true
follow_imports = skip
"""


def python_of(page: Path) -> str:
    """The code of a page as one program; of sessions, what is typed."""
    code = []
    for kind, block in re.findall(r"```(python|pycon)\n(.*?)```", page.read_text(), re.S):
        typed = doctest.DocTestParser().get_examples(block) if kind == "pycon" else []
        code.append("".join(example.source for example in typed) or block)
    return "\n".join(code)


def test_the_scorer_of_the_guide_is_evaluated_ranked_and_reported_without_torch(tmp_path):
    page = python_of(ROOT / "docs" / "scorers.md")
    check = "\nimport sys\nassert not {'torch', 'transformers'} & set(sys.modules)\n"
    done = subprocess.run(
        [sys.executable, "-c", page + check], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert re.search(r"me/echo +\d\d\.\d", done.stdout)
    assert "me/echo" in (tmp_path / "echo.html").read_text()
    assert (tmp_path / "results" / "demo" / "me__echo" / "result.json").is_file()
    of_class = page[page.index("class Echo") : page.index("\nresult")]
    assert len([line for line in of_class.splitlines() if line.strip()]) <= 20


def test_the_guide_to_python_runs_as_it_stands(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found: dict[str, object] = {}
    exec(python_of(ROOT / "docs" / "python.md"), found)
    assert found["mine"].preferences[0].responses == ("4", "5")
    assert {"demo", "Ray2333/GRM-llama3-8B-sftreg"} <= set(found["everything"]["model"]) | set(
        found["ranking"]["model"]
    )
    assert rmeval.section_scores(found["subsets"]).keys() == {"Chat"}
    assert (tmp_path / "report.html").is_file()


def test_mypy_takes_every_example_of_the_documents_from_outside(tmp_path):
    pytest.importorskip("mypy")
    (tmp_path / "mypy.ini").write_text(CONFIG)
    pages = [page for page in PAGES if python_of(page)]
    for page in pages:
        (tmp_path / f"{page.stem.replace('-', '_')}.py").write_text(python_of(page))
    command = [sys.executable, "-m", "mypy", "--config-file", "mypy.ini", "."]
    cache = ["--cache-dir", str(ROOT / ".mypy_cache" / "outside")]
    done = subprocess.run(
        [*command, *cache],
        cwd=tmp_path,
        env={**os.environ, "MYPYPATH": str(ROOT)},  # mypy does not follow an editable install
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(pages) >= 4
