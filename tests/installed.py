"""A package that is installed beside rmeval, as far as its entry points go."""

from pathlib import Path

import pytest


def install(
    folder: Path, package: str, group: str, points: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Puts on sys.path what pip would: a package's metadata with its entry points."""
    info = folder / f"{package.replace('-', '_')}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    lines = [f"{name} = {target}" for name, target in points.items()]
    (info / "entry_points.txt").write_text("\n".join([f"[{group}]", *lines]))
    monkeypatch.syspath_prepend(folder)
