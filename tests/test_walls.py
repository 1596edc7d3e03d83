"""The walls of the house, read from the source itself."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from rmeval.registry import Entry, Registry

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "rmeval"
MODULES = sorted(PACKAGE.rglob("*.py"))
SOURCES = [*MODULES, *sorted((ROOT / "scripts").glob("*.py"))]

# Top first. What stands on one line may not import each other, only itself and what is below.
ORDER = [
    ["__main__"],
    ["cli"],
    ["commands", "integrations"],
    ["serving"],
    ["verbs"],
    ["reports"],
    ["evaluation", "filtering"],
    ["judging"],
    ["results", "llm"],
    ["models"],
    ["engine", "benchmarks"],
    ["metrics"],
    ["scorer"],
    ["duels"],
    ["preferences", "load_options", "checking"],
    ["cards", "files", "hub", "known", "registry", "conversations", "door", "notebook"],
    ["records", "errors", "clock"],
    ["tabular"],
]
LEVEL = {name: level for level, names in enumerate(ORDER) for name in names}
DOORS = {("tabular", "verbs")}  # methods of a record for people's hands; imported when called
HEAVY = {"torch", "transformers"}
LOADED_ON_USE = PACKAGE / "llm" / "generator.py"


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def part_of(path: Path) -> str:
    """The part of the house that a file belongs to: `models` for rmeval/models/load.py."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def running_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """Every node that runs: all but what stands under `if TYPE_CHECKING`."""
    for child in ast.iter_child_nodes(node):
        if not is_type_checking(child):
            yield child
            yield from running_nodes(child)


def imported(path: Path) -> Iterator[str]:
    """The dotted names that a file imports when it runs, whether at its top or in a function."""
    for node in running_nodes(tree_of(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name_of(path)}: a relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def parts_imported(path: Path) -> set[str]:
    names = [name.split(".") for name in imported(path)]
    return {name[1] for name in names if name[0] == "rmeval" and not name[1].startswith("__v")}


def test_every_part_has_a_place() -> None:
    parts = {part_of(path) for path in MODULES} - {"__init__"}
    assert parts == set(LEVEL)


def test_imports_only_go_down() -> None:
    up = [
        f"{name_of(path)} imports {part}"
        for path in MODULES
        if (here := part_of(path)) != "__init__"
        for part in parts_imported(path)
        if part != here and (here, part) not in DOORS and LEVEL[part] <= LEVEL[here]
    ]
    assert not up


def test_torch_and_transformers_are_imported_only_by_models_and_engine() -> None:
    free = [path for path in MODULES if part_of(path) not in ("models", "engine")]
    heavy = {
        name_of(path): names
        for path in free
        if (names := {name.split(".")[0] for name in imported(path)} & HEAVY)
    }
    assert set(heavy) <= {name_of(LOADED_ON_USE)}


@pytest.mark.parametrize(
    "verb",
    [
        ["--help"],
        ["list"],
        ["leaderboard", "."],
        ["site", "--published", "--no-reports", "--output", "public"],
        ["aggregate", "--help"],
        ["run", "--help"],
        ["rank", "--help"],
        ["check", "--help"],
        ["compare", "--help"],
        ["ensemble", "--help"],
        ["merge", "--help"],
        ["convert", "--help"],
        ["serve", "--help"],
        ["history", "."],
        ["push", "--help"],
        ["pull", "--help"],
        ["plot", "--help"],
    ],
)
def test_verbs_that_score_nothing_load_nothing_heavy(verb: list[str], tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from rmeval.cli import main\n"
        "try: main(sys.argv[1:])\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'transformers', 'pandas', 'pyarrow', 'datasets', 'scipy.stats'}\n"
        "heavy |= {'numpy'} if sys.argv[1] == '--help' else set()\n"
        "loaded = heavy & set(sys.modules)\n"
        "sys.exit(f'loaded {loaded}' if loaded else 0)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *verb], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def handlers(path: Path) -> Iterator[ast.ExceptHandler]:
    nodes = ast.walk(tree_of(path))
    yield from (node for node in nodes if isinstance(node, ast.ExceptHandler))


def test_nobody_catches_everything() -> None:
    for path in SOURCES:
        for handler in handlers(path):
            caught = ast.unparse(handler.type) if handler.type else "everything"
            names = set(caught.strip("()").split(", "))
            assert not names & {"everything", "Exception", "BaseException"}, name_of(path)


def calls(path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """Each call's name, and its keyword arguments as source."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Call):
            keywords = {k.arg: ast.unparse(k.value) for k in node.keywords if k.arg}
            yield ast.unparse(node.func), keywords


def test_no_pickle_is_read_that_could_run_code() -> None:
    for path in SOURCES:
        for call, keywords in calls(path):
            assert call not in ("pickle.load", "pickle.loads", "joblib.load"), name_of(path)
            if call == "torch.load":
                assert keywords.get("weights_only") == "True", name_of(path)


def test_remote_code_is_trusted_in_one_file() -> None:
    trusting = {
        name_of(path)
        for path in SOURCES
        for _, keywords in calls(path)
        if keywords.get("trust_remote_code") == "True"
    }
    assert trusting <= {"rmeval/models/families/remote.py"}


def lines_of_code(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """A function's lines without its docstring's."""
    lines = (node.end_lineno or node.lineno) - node.lineno + 1
    return lines - len((ast.get_docstring(node) or "").splitlines())


def test_functions_can_be_read_at_once() -> None:
    long = {
        f"{name_of(path)}: {node.name}": lines_of_code(node)
        for path in SOURCES
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and lines_of_code(node) > 40
    }
    assert not long


def test_a_registry_refuses_two_of_one_name() -> None:
    entry = Entry("twin", "rmeval.errors:RmevalError", "")
    with pytest.raises(ValueError, match="two fakes are called 'twin'"):
        Registry("fake", [entry, entry])


def test_metrics_know_no_benchmark_and_no_report_knows_the_name_of_one() -> None:
    """A benchmark's reader and scheme are in its own file: who adds one touches no other room."""
    from rmeval.benchmarks import BENCHMARKS

    names = {entry.name for entry in BENCHMARKS} - {"demo"}  # which says what it is for
    for path in MODULES:
        if part_of(path) in ("metrics", "reports"):
            texts = {n.value for n in ast.walk(tree_of(path)) if isinstance(n, ast.Constant)}
            assert not names & {text for text in texts if isinstance(text, str)}, name_of(path)
    for path in (PACKAGE / "benchmarks").glob("*.py"):
        for node in tree_of(path).body:
            made = ast.unparse(node) if isinstance(node, ast.Assign) else ""
            if " = Definition(" in made:
                scheme = next(k for k in node.value.keywords if k.arg == "scheme")
                root = ast.unparse(scheme.value).split(".")[0]
                told = [n for n in ast.walk(tree_of(path)) if isinstance(n, ast.ImportFrom)]
                where = [n.module for n in told for a in n.names if (a.asname or a.name) == root]
                assert not where or where == ["rmeval.benchmarks.rewardbench"], name_of(path)
