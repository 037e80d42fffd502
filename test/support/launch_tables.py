# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""The arguments of the launch files, read as Python: ROS 2's launch, which they import, need not be there."""

from __future__ import annotations

import ast
from pathlib import Path

LAUNCH_FILES = ("dfd", "evaluate", "laserscan", "nav2", "record")


def assigned(path: Path, name: str) -> ast.expr:
    """What a module assigns to a name."""
    statements = ast.parse(path.read_text("utf-8")).body
    return next(s.value for s in statements if isinstance(s, ast.Assign) and ast.unparse(s.targets[0]) == name)


def rows_of(project_root: Path, table: ast.expr) -> list[list[ast.expr]]:
    """Rows of a table of arguments; a name stands for what launch_arguments.py assigns to it."""
    shared = project_root / "dfd_perception" / "ros" / "shared" / "launch_arguments.py"
    if isinstance(table, (ast.Starred, ast.Name)):
        name = table.value if isinstance(table, ast.Starred) else table
        return rows_of(project_root, assigned(shared, name.id))
    if isinstance(table, ast.Call):
        return [table.args]
    if isinstance(table.elts[0], ast.Constant):
        return [table.elts]
    return [row for element in table.elts for row in rows_of(project_root, element)]


def arguments_of(project_root: Path, name: str) -> dict[str, tuple[str, ...]]:
    """Argument of a launch file to the words that it takes; empty where it takes any."""
    path = project_root / "launch" / f"{name}.launch.py"
    return {row[0].value: _choices(path, row[3]) if len(row) > 3 else () for row in
            rows_of(project_root, assigned(path, "ARGUMENTS"))}  # fmt: skip


def _choices(path: Path, choices: ast.expr) -> tuple[str, ...]:
    if isinstance(choices, ast.Name):
        choices = assigned(path, choices.id)
    parts = [part for part in choices.elts if isinstance(part, ast.Starred)]
    if not parts:
        return tuple(part.value for part in choices.elts)
    from dfd_perception.inference.backends.table import PRECISIONS, backend_names

    local = {"PRECISIONS": lambda: PRECISIONS, "backend_names()": backend_names}
    named = ast.unparse(parts[0].value)
    taken = local[named]() if named in local else _choices(path, parts[0].value)
    return (*(part.value for part in choices.elts if isinstance(part, ast.Constant)), *taken)
