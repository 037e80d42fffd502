# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""The glossary of docs/conventions.md over every name of the package: one term for one thing, its unit in the name.
And over every message: no "1 frames"."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from dfd_perception.errors import counted

ROOT = Path(__file__).resolve().parent.parent
FILES = sorted((ROOT / "dfd_perception").rglob("*.py"))

SPELLED_UNITS = {"metres", "meters", "millimetres", "microns", "seconds", "milliseconds", "degrees", "radians"}
QUANTITIES = {"depth", "diameter", "distance", "duration", "latency", "delay", "interval", "timeout", "length"}
SIZE = re.compile(r"(^|_)(size|sizes|resolution)$")
SHAPE = re.compile(r"_([A-Z0-9]{2,})$")
SHAPES = re.compile(r"B([1-9][0-9]*)?HW|B?CHW|HW[1-9]?")


class Named(NamedTuple):
    """A name that the package gives to something of its own."""

    where: str
    name: str
    annotation: str = ""

    @property
    def words(self) -> list[str]:
        return [word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", self.name)]


def names(tree: ast.AST, file: str) -> Iterator[Named]:
    for node in ast.walk(tree):
        where = f"{file}:{getattr(node, 'lineno', 0)}"
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield Named(where, node.name, "" if node.returns is None else ast.unparse(node.returns))
        elif isinstance(node, ast.ClassDef):
            yield Named(where, node.name)
        elif isinstance(node, ast.arg):
            yield Named(where, node.arg, "" if node.annotation is None else ast.unparse(node.annotation))
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name | ast.Attribute):
            target = node.target
            name = target.id if isinstance(target, ast.Name) else target.attr
            yield Named(where, name, ast.unparse(node.annotation))
        elif isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield Named(where, node.id if isinstance(node, ast.Name) else node.attr)


def unwanted_words() -> dict[str, str]:
    """Word -> what to say in its place, from the table in docs/conventions.md."""
    text = (ROOT / "docs" / "conventions.md").read_text("utf-8")
    section = text.partition("## Words of names")[2].partition("\n## ")[0]
    rows = [[cell.strip() for cell in line.strip("| \n").split("|")] for line in section.splitlines() if "|" in line]
    return {word.strip("` "): say for say, words in rows[2:] for word in words.split(",")}


def broken_rules(named: Named, unwanted: dict[str, str]) -> Iterator[str]:
    """What the glossary has against a name."""
    words, annotation = named.words, named.annotation
    for word in unwanted.keys() & set(words):
        yield f"has {word!r}: {unwanted[word]}"
    is_number = annotation in ("float", "float | None")
    if is_number and words and words[-1] in SPELLED_UNITS:
        yield "spells a unit; a name ends in _m, _mm, _um, _s, _ms, _rad or _deg"
    if is_number and words and words[-1] in QUANTITIES:
        yield "is a quantity without its unit"
    if SIZE.search(named.name) and "tuple[int, int]" in annotation:
        yield "is a Size"
    shape = SHAPE.search(named.name)
    if shape and not named.name.isupper() and not SHAPES.fullmatch(shape[1]):
        yield f"has the shape {shape[1]}; shapes are BCHW, CHW and HW, with numbers where they are fixed"


@pytest.mark.parametrize("file", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_names_follow_the_glossary(file: Path) -> None:
    unwanted = unwanted_words()
    tree = ast.parse(file.read_text("utf-8"))
    wrong = [f"{n.where}: {n.name} {why}" for n in names(tree, file.name) for why in broken_rules(n, unwanted)]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("source", "rule"),
    [
        ("picture = 1", "picture"),
        ("def f(found): ...", "found"),
        ("class AskedSize: ...", "asked"),
        ("def wait(seconds: float): ...", "spells a unit"),
        ("focus_distance: float = 1.0", "without its unit"),
        ("def fit(size: tuple[int, int]): ...", "is a Size"),
        ("image_NCHW = 1", "has the shape"),
    ],
)
def test_the_rules_see_what_breaks_them(source: str, rule: str) -> None:
    broken = [why for named in names(ast.parse(source), "f") for why in broken_rules(named, unwanted_words())]
    assert len(broken) == 1
    assert rule in broken[0]


@pytest.mark.parametrize("source", ["image_B3HW, map_HW, K_C = 1, 2, 3", "wait_s: float = 1.0", "NETWORKS_KEPT = 4"])
def test_the_rules_let_good_names_pass(source: str) -> None:
    assert not [why for named in names(ast.parse(source), "f") for why in broken_rules(named, unwanted_words())]


COUNTED = (
    "capture|core|distance|engine|file|frame|image|layer|message|moment|pair|publisher|reading|row|tensor|topic|value|"
    "view|window"
)


def uncounted(tree: ast.AST) -> Iterator[str]:
    """Plurals that an f-string puts after a number of which it does not ask whether it is one."""
    for node in ast.walk(tree):
        parts = node.values if isinstance(node, ast.JoinedStr) else []
        for number, text in zip(parts, parts[1:], strict=False):
            if isinstance(number, ast.FormattedValue) and number.format_spec is None and isinstance(text, ast.Constant):
                plural = re.match(rf" ({COUNTED})s\b", str(text.value))
                if plural:
                    yield f"line {node.lineno}: {{{ast.unparse(number.value)}}}{plural[0]}"


@pytest.mark.parametrize("file", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_messages_count_in_words_that_fit_one(file: Path) -> None:
    assert not list(uncounted(ast.parse(file.read_text("utf-8")))), "errors.counted gives 1 frame, 2 frames"


@pytest.mark.parametrize(("source", "plurals"), [("f'{n} frames'", 1), ("f'{n:.1f} frames, {x} images/s'", 1)])
def test_an_uncounted_plural_is_seen(source: str, plurals: int) -> None:
    assert len(list(uncounted(ast.parse(source)))) == plurals


@pytest.mark.parametrize(("count", "words"), [(0, "0 frames"), (1, "1 frame"), (2, "2 frames")])
def test_one_is_singular(count: int, words: str) -> None:
    assert counted(count, "frame") == words
