"""The site as files: what is in them, and what is never overwritten."""

import base64
import gzip
import json
import re
from pathlib import Path
from xml.etree import ElementTree as xml

import pytest
from command_line import Capture, done, refusal
from measured import keep, measured
from pydantic import TypeAdapter
from test_results_reference import section
from typing_extensions import is_typeddict

import rmeval
from rmeval.errors import OutputFailure
from rmeval.files import prepare_folder
from rmeval.reports.site import folder as site_folder
from rmeval.reports.site import schema
from rmeval.reports.site.models import size_in
from rmeval.reports.site.names import file_names

PAGE = Path(__file__).parents[2] / "docs" / "site.md"


@pytest.fixture
def found(tmp_path: Path) -> Path:
    """Two models, of which one has a published row too."""
    results = prepare_folder(tmp_path / "found")
    keep(results, measured("internlm/internlm2-7b-reward", 5))
    keep(results, measured("org/<b>other</b>", 1))
    return results


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def write(found: Path, public: Path, capsys: Capture, *more: str) -> dict[str, bytes]:
    done(capsys, "site", found, "--output", public, "--no-reports", *more)
    return contents(public)


def test_twice_gives_the_same_bytes(found: Path, tmp_path: Path, capsys: Capture) -> None:
    first = write(found, tmp_path / "a", capsys, "--published")
    assert write(found, tmp_path / "b", capsys, "--published") == first
    assert write(found, tmp_path / "a", capsys, "--published") == first
    assert {"index.html", "feed.xml", "benchmarks/rewardbench.html"} <= first.keys()
    assert {"data/index.json", "models/internlm--internlm2-7b-reward.html"} <= first.keys()


def test_the_data_is_as_its_schema_says(found: Path, tmp_path: Path, capsys: Capture) -> None:
    files = write(found, tmp_path / "a", capsys, "--card", "internlm2-reward")
    kinds = {
        "data/index.json": schema.SiteDocument,
        "data/benchmarks/": schema.BenchmarkDocument,
        "data/models/": schema.ModelDocument,
    }
    seen = set()
    for path, content in files.items():
        for start, kind in kinds.items():
            if path.startswith(start):
                document = json.loads(content)
                TypeAdapter(kind).validate_python(document, strict=True)
                assert document.keys() == kind.__annotations__.keys()
                seen.add(start)
    assert seen == kinds.keys()
    index = json.loads(files["data/index.json"])
    for entry in (*index["benchmarks"], *index["models"]):
        assert {entry["page"], entry["data"]} <= files.keys()
    [board] = index["benchmarks"]
    rows = json.loads(files[board["data"]])["rows"]
    assert [row["rank"] for row in rows] == [1, *range(2, len(rows) + 1)]
    assert rows[0]["score"] == pytest.approx(100 * measured("m", 1).overall)
    assert {row["origin"] for row in rows} == {"measured", "published"}
    assert len({row["key"] for row in rows}) == len(rows)


def test_every_link_leads_to_a_file(found: Path, tmp_path: Path, capsys: Capture) -> None:
    public = tmp_path / "a"
    for path, content in write(found, public, capsys, "--published").items():
        for link in re.findall(rb'(?:href|src)="([^"#]+)[^"]*"', content):
            assert not link.startswith(b"/")
            target = (public / path).parent / link.decode()
            assert target.is_file(), f"{path}: {link}"


def test_the_guide_says_what_the_data_holds() -> None:
    records = [item for item in vars(schema).values() if is_typeddict(item)]
    tables = "\n".join(map(section, records))
    assert PAGE.read_text(encoding="utf-8").endswith(tables), (
        f"docs/site.md must end with\n{tables}"
    )


def test_the_feed_has_an_entry_for_each_result(
    found: Path, tmp_path: Path, capsys: Capture
) -> None:
    feed = xml.fromstring(write(found, tmp_path / "a", capsys)["feed.xml"])
    space = {"a": "http://www.w3.org/2005/Atom"}
    entries = feed.findall("a:entry", space)
    assert len(entries) == 2
    assert len({entry.find("a:id", space).text for entry in entries}) == 2
    assert feed.find("a:updated", space).text == "2026-01-02T03:04:05+00:00"
    assert any("<b>other</b> on rewardbench: Score" in entry[0].text for entry in entries)


def test_no_name_is_markup_or_a_way_out(tmp_path: Path, found: Path, capsys: Capture) -> None:
    keep(found, measured("../../../up", 2))
    keep(found, measured("</script><script>alert(1)</script>", 3))
    files = write(found, tmp_path / "a", capsys)
    assert {path.split("/")[0] for path in contents(tmp_path)} == {"a", "found"}
    assert not any(b"<script>alert" in text or b"<b>" in text for path, text in files.items()
                   if path.endswith(("html", "xml")))  # fmt: skip


def test_names_of_files_do_not_collide_on_any_disk() -> None:
    names = ["a/b", "A/B", "a--b", "con", "..", "", "x" * 300, "\u4f60\u597d", "\u597d\u4f60"]
    files = file_names(names)
    assert len({file.casefold() for file in files.values()}) == len(names)
    assert all(re.fullmatch(r"[\w.-]{1,70}", file, re.ASCII) for file in files.values())
    assert not any(file.startswith(".") or file.casefold() == "con" for file in files.values())


def test_a_folder_of_something_else_is_never_overwritten(
    found: Path, tmp_path: Path, capsys: Capture
) -> None:
    line = refusal(capsys, "site", found, "--output", found, "--no-reports")
    assert "which is of no site that rmeval wrote; move it, or name another folder" in line
    public = tmp_path / "a"
    before = write(found, public, capsys)
    (public / "CNAME").write_text("x.org")
    assert "a holds CNAME" in refusal(capsys, "site", found, "--output", public)
    assert contents(public) == {**before, "CNAME": b"x.org"}
    (tmp_path / "file").write_text("")
    assert "is a file" in refusal(capsys, "site", found, "--output", tmp_path / "file")


def interrupted_site(folder: Path) -> None:
    with site_folder.new_site(folder) as made:
        made.write("index.html", "other")
        raise KeyboardInterrupt


def test_an_interrupted_site_leaves_what_was_there(found: Path, tmp_path: Path) -> None:
    public = rmeval.site([found], tmp_path / "a", reports=False)
    before = contents(public)
    with pytest.raises(KeyboardInterrupt):
        interrupted_site(public)
    assert contents(public) == before
    assert {path.name for path in tmp_path.iterdir()} == {"a", "found"}
    with pytest.raises(ValueError, match="leads out"), site_folder.new_site(public) as made:
        made.write("../x", "")
    with site_folder.new_site(public), pytest.raises(OutputFailure, match="another run"):
        rmeval.site([found], public, reports=False)


def test_facts_about_models_are_shown_and_checked(
    found: Path, tmp_path: Path, capsys: Capture
) -> None:
    told = tmp_path / "models.toml"
    told.write_text('["org/<b>other</b>"]\nname = "Other"\nsize = 1.5\nlicence = "mit"\n')
    files = write(found, tmp_path / "a", capsys, "--models", str(told))
    rows = json.loads(files["data/benchmarks/rewardbench.json"])["rows"]
    assert [(row["model"], row["size"], row["licence"]) for row in rows] == [
        ("Other", 1.5, "mit"),
        ("internlm/internlm2-7b-reward", 7.0, None),
    ]
    for text, word in (
        ('["m"]\nsiez = 1', "did you mean 'size'?"),
        ('["m"]\nsize = "7B"', "size must be a number"),
        ('["m"]\nurl = "javascript:alert(1)"', "url must begin with https"),
        ("m = 1", "must be a table"),
        ("[", "not TOML"),
    ):
        told.write_text(text)
        line = refusal(capsys, "site", found, "--output", tmp_path / "b", "--models", told)
        assert word in line


@pytest.mark.parametrize(
    ("name", "size"),
    [("org/m-7B", 7.0), ("m-1_8b-reward", 1.8), ("Mixtral-8x7B", None), ("m-v0.2", None),
     ("Llama-3.1-70B-Instruct", 70.0), ("m-0.6B", 0.6), ("bert-7beta", None)],
)  # fmt: skip
def test_a_size_is_what_the_name_says(name: str, size: float | None) -> None:
    assert size_in(name) == size


def test_nothing_to_show_is_said(tmp_path: Path, capsys: Capture) -> None:
    prepare_folder(tmp_path / "none")
    line = refusal(capsys, "site", tmp_path / "none", "--output", tmp_path / "a")
    assert line.startswith("no results in")
    assert not (tmp_path / "a").exists()


def test_what_rows_counted_is_packed_once_for_all(
    found: Path, tmp_path: Path, capsys: Capture
) -> None:
    page = write(found, tmp_path / "a", capsys)["benchmarks/rewardbench.html"].decode()
    packed = re.search(r'<script id="verdicts"[^>]*>([^<]*)</script>', page)[1]
    [group] = json.loads(gzip.decompress(base64.b64decode(packed)))
    assert sum(len(stratum["ids"]) for stratum in group["strata"]) == 2985
    assert len(group["credits"]) == 2
