# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Every `dfd` command that README, docs and --help print is one: pasted as it stands, its arguments are understood."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from dfd_perception.cli import __main__ as cli

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted(ROOT.glob("*/README.md"))]
MODULES = sorted((ROOT / "dfd_perception" / "cli").glob("*.py"))
PLACEHOLDERS = ("...", "[")
"""In a line that shows a form rather than a command."""


def lines_of_code(text: str) -> Iterator[str]:
    """Lines within fences, continued ones joined."""
    for block in re.findall(r"^ *```\w*\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL):
        yield from re.sub(r"\\\n\s*", "", block).splitlines()


def commands(path: Path) -> list[str]:
    text = path.read_text("utf-8")
    lines = ast.get_docstring(ast.parse(text)) or "" if path.suffix == ".py" else "\n".join(lines_of_code(text))
    stripped = (line.strip() for line in lines.splitlines())
    return [line for line in stripped if re.match(r"dfd [a-z]", line) and not any(p in line for p in PLACEHOLDERS)]


EVERY = [(path.relative_to(ROOT), line) for path in (*PAGES, *MODULES) for line in commands(path)]


@pytest.mark.parametrize(("page", "line"), EVERY, ids=[f"{page}-{line[:40]}" for page, line in EVERY])
def test_a_printed_command_is_understood(page: Path, line: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = [word for word in shlex.split(line, comments=True)[1:] if word[0] != "$"]
    try:
        cli.parse(words)
    except SystemExit:
        pytest.fail(f"{page}: {line}\n{capsys.readouterr().err}")
    assert not re.search(r"\S {2,}[^#\s]", line), f"{page}: {line}: an explanation begins with #"


def test_there_are_commands_to_read() -> None:
    assert len(EVERY) > 40
