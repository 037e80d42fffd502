# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest

from dfd_perception.errors import ConfigError, DatasetError, RecordingError, reading, writing
from dfd_perception.files.configuration import from_mapping, read_yaml, with_overrides, write_yaml


@dataclass(frozen=True, kw_only=True)
class Part:
    rate: float = 1.0
    names: tuple[str, ...] = ()
    pair: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if self.rate < 0:
            raise ValueError(f"rate is {self.rate}")


@dataclass(frozen=True, kw_only=True)
class Whole:
    kind: Literal["a", "b"]
    count: int = 1
    on: bool = False
    where: Path | None = None
    part: Part = field(default_factory=Part)
    parts: list[Part] = field(default_factory=list)
    free: dict[str, Any] = field(default_factory=dict)


def read(**mapping) -> Whole:
    return from_mapping(Whole, mapping, "file.yaml")


def test_a_tree_is_built_with_its_types():
    whole = read(
        kind="b", count=3, on=True, where="some/where", part={"rate": 2, "names": ["x"], "pair": [1, 2]},
        parts=[{"rate": 0.5}], free={"anything": [1]},
    )  # fmt: skip
    assert whole == Whole(
        kind="b", count=3, on=True, where=Path("some/where"), part=Part(rate=2.0, names=("x",), pair=(1, 2)),
        parts=[Part(rate=0.5)], free={"anything": [1]},
    )  # fmt: skip
    assert isinstance(whole.part.rate, float)
    assert read(kind="a", where=None).where is None


@pytest.mark.parametrize(
    ("mapping", "says"),
    [
        ({}, "kind is missing"),
        ({"kind": "c"}, "kind is 'c'; expected one of 'a', 'b'"),
        ({"kind": "a", "counts": 2}, "unknown key counts; known are kind, count"),
        ({"kind": "a", "count": 1.5}, "count is 1.5; expected a whole number"),
        ({"kind": "a", "count": True}, "count is true; expected a whole number"),
        ({"kind": "a", "on": 1}, "on is 1; expected true or false"),
        ({"kind": "a", "part": 3}, "part is 3; expected a mapping"),
        ({"kind": "a", "part": {"rates": 3}}, "part: unknown key rates"),
        ({"kind": "a", "part": {"names": "x"}}, "names is 'x'; expected a list"),
        ({"kind": "a", "part": {"pair": [1, 2, 3]}}, "pair has 3 items; expected 2"),
        ({"kind": "a", "parts": [{"rate": "fast"}]}, r"parts\[0\]: rate is 'fast'; expected a number"),
        ({"kind": "a", "part": {"rate": -1}}, "part: rate is -1"),
    ],
)
def test_what_is_wrong_is_named_with_its_path(mapping, says):
    with pytest.raises(ConfigError, match=says) as caught:
        from_mapping(Whole, mapping, "file.yaml")
    assert str(caught.value).startswith("file.yaml")


def test_overrides_are_yaml_and_leave_the_original_alone():
    mapping = {"kind": "a", "part": {"rate": 1.0}}
    changed = with_overrides(mapping, ["part.rate=2e-3", "part.names=[x, y]", "count=4", "where=null", "free.a.b=on"])
    assert from_mapping(Part, changed["part"], "part") == Part(rate=0.002, names=("x", "y"))
    assert changed["count"] == 4
    assert changed["where"] is None
    assert changed["free"] == {"a": {"b": True}}
    assert mapping == {"kind": "a", "part": {"rate": 1.0}}


@pytest.mark.parametrize(
    ("override", "says"),
    [("count", "expected key=value"), ("=3", "expected key=value"), ("kind.x=1", "no keys of its own")],
)
def test_an_override_that_is_none_is_refused(override, says):
    with pytest.raises(ConfigError, match=says):
        with_overrides({"kind": "a"}, [override])


@pytest.mark.parametrize(
    ("content", "says"), [("- 1\n", "holds a list"), ("a: [1\n", "not valid YAML"), ("", "file.yaml is empty;")]
)
def test_a_file_that_is_no_mapping_is_one_line(tmp_path, content, says):
    path = tmp_path / "file.yaml"
    path.write_text(content)
    with pytest.raises(ConfigError, match=says) as caught:
        read_yaml(path)
    assert "\n" not in str(caught.value)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_yaml(tmp_path / "absent.yaml")


def test_what_is_written_is_read(tmp_path):
    content = {"b": 1, "a": {"text": "größer", "list": [1, 2.5, None]}}
    write_yaml(tmp_path / "file.yaml", content)
    assert read_yaml(tmp_path / "file.yaml") == content
    assert list(read_yaml(tmp_path / "file.yaml")) == ["b", "a"]


@pytest.mark.parametrize(
    "text",
    ["day: 2024-13-45", "n: " + "9" * 5000, "[" * 2000, "a: [1", "a: {b: !!python/object:os.system x}"],
    ids=["date", "digits", "deep", "open", "tag"],
)
def test_hostile_yaml_is_one_line(tmp_path, text):
    path = tmp_path / "x.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"x\.yaml: not valid YAML") as caught:
        read_yaml(path)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400
    with pytest.raises(ConfigError, match="override 'a=.*not valid YAML"):
        with_overrides({}, [f"a={text.removeprefix('day: ').removeprefix('n: ')}"])


def test_a_number_that_no_float_holds_is_refused():
    with pytest.raises(ConfigError, match="number of 1329 bits, more than a float holds"):
        from_mapping(Part, {"rate": 10**400}, "x.yaml")


def test_the_guard_at_a_files_door_speaks_in_words(tmp_path):
    def refused(action, kind=DatasetError):
        with pytest.raises(kind) as caught, reading(tmp_path / "f", kind, "expected something else"):
            action()
        return str(caught.value).removeprefix(f"{tmp_path / 'f'}: ")

    end = "; expected something else"
    assert refused(lambda: {}["stem"]) == f"cannot be read ('stem' is missing){end}"
    assert refused(lambda: (tmp_path / "f").read_bytes()) == f"cannot be read (nothing is there){end}"
    assert refused(lambda: int("x\ny")) == f"cannot be read (invalid literal for int() with base 10: 'x\\ny'){end}"
    assert len(refused(lambda: int("9" * 400 + "x"))) < 260
    # What has been said already is not said twice.
    with pytest.raises(ConfigError, match="^as it was$"), reading(tmp_path, DatasetError):
        raise ConfigError("as it was")
    says = r"f/g: cannot be written \(nothing is there\); free some space"
    with pytest.raises(RecordingError, match=says), writing(tmp_path):
        (tmp_path / "f" / "g").write_bytes(b"")


@pytest.mark.parametrize(
    "text", ["a: !!bool x", "a: !!timestamp x", "a: !!int ''", "? {a: b}\n: c", "a: \x00", "- a", ""]
)
def test_any_text_is_refused_in_one_short_line(tmp_path, text):
    file = tmp_path / "file.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError) as refused:
        from_mapping(Whole, read_yaml(file), "file.yaml")
    assert len(str(refused.value)) < 600
    assert "\n" not in str(refused.value)


def test_yes_is_not_one():
    @dataclass(frozen=True)
    class Versioned:
        format: Literal[1] = 1

    with pytest.raises(ConfigError, match="format is true; expected one of 1"):
        from_mapping(Versioned, {"format": True}, "file.yaml")


def test_settings_that_contain_themselves_or_multiply_are_refused(tmp_path):
    file = tmp_path / "file.yaml"
    file.write_text("kind: a\nfree: &a {b: *a}\n")
    with pytest.raises(ConfigError, match="contain themselves"):
        with_overrides(read_yaml(file), ["count=2"])
    lines = ["a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 12)]
    file.write_text("\n".join([*lines, "kind: *a11"]))
    with pytest.raises(ConfigError) as refused:
        from_mapping(Whole, {"kind": read_yaml(file)["kind"]}, "file.yaml")
    assert len(str(refused.value)) < 1000


@pytest.mark.parametrize(
    ("text", "value"),
    [("030", 30), ("-012", -12), ("0x1F", 31), ("1_000", 1000), ("0", 0), ("1:30", "1:30"), ("1:30.5", "1:30.5"),
     ("0.50", 0.5), ("-.5", "-.5"), (".inf", float("inf")), ("'030'", "030")],
)  # fmt: skip
def test_numbers_are_those_that_people_write(tmp_path, text, value):
    (tmp_path / "a.yaml").write_text(f"a: {text}\n")
    read = read_yaml(tmp_path / "a.yaml")["a"]
    assert (read, type(read)) == (value, type(value))


@pytest.mark.parametrize("text", ["a: 1\nb: 2\na: 3\n", "b: {a: 1, 'a': 2}\n", "- a: 1\n  a: 1\n"])
def test_a_key_that_is_given_twice_is_refused(tmp_path, text):
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(ConfigError, match="a is given twice"):
        read_yaml(tmp_path / "a.yaml")


def test_merged_keys_may_be_given_again(tmp_path):
    text = "x: &x {a: 1, b: 2}\ny: &y {<<: *x, b: 3}\nz: {<<: *y, a: 4}\n"
    (tmp_path / "a.yaml").write_text(text)
    assert read_yaml(tmp_path / "a.yaml")["z"] == {"a": 4, "b": 3}


@dataclass(frozen=True)
class Fraction:
    share: float


@pytest.mark.parametrize(("text", "share"), [("1e-3", 1e-3), ("-.1", -0.1), (".5e1", 5.0), ("5.", 5.0)])
def test_floats_that_yaml_takes_for_text_are_floats(tmp_path, text, share):
    (tmp_path / "a.yaml").write_text(f"share: {text}\n")
    assert from_mapping(Fraction, read_yaml(tmp_path / "a.yaml"), "a").share == share
