# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Every source file says whose it is and under which licence it may be used."""

from __future__ import annotations

from pathlib import Path

FOLDERS = ("benchmarks", "demo", "dfd_perception", "docs", "launch", "scripts", "test")
KINDS = {".py", ".sh", ".css", ".js"}
LINES = ("Copyright 2026 dfd_perception maintainers", "SPDX-License-Identifier: Apache-2.0")


def test_every_source_file_begins_with_copyright_and_licence(project_root: Path) -> None:
    sources = [path for name in FOLDERS for path in (project_root / name).rglob("*") if path.suffix in KINDS]
    sources = [path for path in sources if "__pycache__" not in path.parts]
    assert len(sources) > 300
    sources += [project_root / "setup.py", project_root / ".ci" / "run"]
    without = []
    for path in sources:
        first = "\n".join(path.read_text("utf-8").splitlines()[:4])
        if not all(line in first for line in LINES):
            without.append(path.relative_to(project_root).as_posix())
    assert not without, f"begin these files with the two lines: {', '.join(LINES)}"
