# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""YAML files and `key=value` overrides into dataclass trees; the package's only YAML reader.

A dataclass declares a setting once: name, type, default, and its meaning in the docstring under it. Unknown
keys, missing ones and values of another type are refused with the path of the key.
"""

from __future__ import annotations

import dataclasses
import re
import reprlib
import types
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml

from dfd_perception.errors import ConfigError, DfdPerceptionError, reading
from dfd_perception.files.atomic import write_text
from dfd_perception.files.yaml_loader import parsed_yaml

T = TypeVar("T")

LONGEST_SHOWN = 60
"""Of a wrong value in a message."""

IN_WORDS: dict[Any, str] = {
    bool: "true or false", int: "a whole number", float: "a number", str: "text", Path: "a path"
}  # fmt: skip

_REPR = reprlib.Repr()
_REPR.maxstring = _REPR.maxother = _REPR.maxlong = LONGEST_SHOWN
_REPR.maxlevel = 2

_NUMBER = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?")


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping at the top of a YAML file.

    Raises:
        ConfigError: no such file, not YAML, or not a mapping.
    """
    with reading(path, ConfigError):
        text = path.read_text(encoding="utf-8")
    content = parsed_yaml(text, str(path))
    if not isinstance(content, dict):
        raise ConfigError(f"{path} {holds(content)}; expected a mapping of settings")
    return content


def holds(content: Any) -> str:
    """What is in a file or section in place of a mapping, in words."""
    if content is None:
        return "is empty"
    return "holds a list" if isinstance(content, (list, tuple)) else f"holds {_brief(content)}"


def _brief(value: Any) -> str:
    """A value in an error message as YAML has it: what was given may be endless, or contain itself."""
    if value is None or isinstance(value, bool):
        return {None: "empty", True: "true", False: "false"}[value]
    return _REPR.repr(value)


def yaml_text(content: Mapping[str, Any]) -> str:
    """A mapping as YAML text, keys in their order; innermost lists and mappings on one line."""
    return yaml.safe_dump(dict(content), sort_keys=False, allow_unicode=True, width=110, default_flow_style=None)


def write_yaml(path: Path, content: Mapping[str, Any]) -> None:
    """Write a mapping, keys in their order, numbers and strings as plain YAML."""
    write_text(path, yaml_text(content))


def plain(value: Any, absent: Sequence[Any] = ()) -> Any:
    """A dataclass as plain YAML or JSON values, the inverse of `from_mapping`: tuples are lists, paths are text.

    Args:
        value: the dataclass, or anything that one may hold.
        absent: values that are left out of mappings, such as None.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = dataclasses.asdict(value)
    if isinstance(value, Mapping):
        return {key: plain(item, absent) for key, item in value.items() if item not in absent}
    if isinstance(value, (list, tuple)):
        return [plain(item, absent) for item in value]
    return str(value) if isinstance(value, Path) else value


def from_mapping(cls: type[T], mapping: Mapping[str, Any], where: str) -> T:
    """Build the dataclass `cls`, nested ones included, from a mapping.

    Args:
        where: what the mapping came from, for messages ("config/train/nyu.yaml").

    Raises:
        ConfigError: unknown or missing key, or a value of another type.
        DfdPerceptionError: what the dataclass itself refuses, with `where` before it.
    """
    hints = typing.get_type_hints(cls)
    fields = {field.name: field for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    unknown = [str(key)[:LONGEST_SHOWN] for key in mapping if key not in fields]
    if unknown:
        raise ConfigError(f"{where}: unknown key {', '.join(unknown)}; known are {', '.join(fields)}")
    values = {k: _converted(hints[k], v, f"{where}: {k}") for k, v in mapping.items()}
    missing = [
        name
        for name, field in fields.items()
        if name not in values and field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    ]
    if missing:
        raise ConfigError(f"{where}: {', '.join(missing)} is missing")
    try:
        return cls(**values)
    except DfdPerceptionError as error:
        raise type(error)(f"{where}: {error}") from error
    except (ValueError, TypeError) as error:
        raise ConfigError(f"{where}: {error}") from error


def with_overrides(mapping: Mapping[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """A copy of `mapping` with `a.b=value` assignments applied; values are read as YAML.

    Raises:
        ConfigError: an override without '=' or through something that is not a mapping.
    """
    try:
        result = _deep_copy(mapping)
    except RecursionError:
        raise ConfigError("the settings contain themselves; take the YAML anchor out") from None
    for override in overrides:
        key, separator, text = override.partition("=")
        if not separator or not key:
            raise ConfigError(f"override {_brief(override)}; expected key=value or part.key=value")
        *parents, leaf = key.split(".")
        node = result
        for parent in parents:
            child = node.setdefault(parent, {})
            if not isinstance(child, dict):
                conflict = f"override {_brief(override)}: {parent} is {_brief(child)}"
                raise ConfigError(f"{conflict}, it has no keys of its own")
            node = child
        node[leaf] = parsed_yaml(text, f"override {override[:LONGEST_SHOWN]!r}")
    return result


def _deep_copy(mapping: Mapping[str, Any]) -> dict[str, Any]:
    return {k: _deep_copy(v) if isinstance(v, Mapping) else v for k, v in mapping.items()}


def _converted(hint: Any, value: Any, where: str) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return value
    if origin in (typing.Union, types.UnionType):
        return _converted_union(arguments, value, where)
    if origin is typing.Literal:
        if not any(value == known and type(value) is type(known) for known in arguments):
            raise ConfigError(f"{where} is {_brief(value)}; expected one of {', '.join(map(repr, arguments))}")
        return value
    if dataclasses.is_dataclass(hint):
        if not isinstance(value, Mapping):
            raise ConfigError(f"{where} is {_brief(value)}; expected a mapping")
        return from_mapping(typing.cast(type, hint), value, where)
    if origin in (tuple, list):
        return _converted_sequence(origin, arguments, value, where)
    if origin is dict or hint is dict:
        if not isinstance(value, Mapping):
            raise ConfigError(f"{where} is {_brief(value)}; expected a mapping")
        held = arguments[1] if arguments else Any
        return {key: _converted(held, item, f"{where}.{_brief(key)}") for key, item in value.items()}
    if hint is Path and isinstance(value, str):
        return Path(value)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return _as_float(value, where)
    if hint is float and isinstance(value, str) and _NUMBER.fullmatch(value):
        # YAML 1.1 takes 1e-3 and -.1 for strings: it wants 1.0e-3 and -0.1.
        return float(value)
    if not isinstance(value, hint) or (hint is int and isinstance(value, bool)):
        raise ConfigError(f"{where} is {_brief(value)}; expected {IN_WORDS.get(hint, hint.__name__)}")
    return value


def _as_float(value: int, where: str) -> float:
    try:
        return float(value)
    except OverflowError as error:
        raise ConfigError(f"{where} is a number of {value.bit_length()} bits, more than a float holds") from error


def _converted_union(arguments: tuple[Any, ...], value: Any, where: str) -> Any:
    if value is None and type(None) in arguments:
        return None
    failures = []
    for choice in arguments:
        if choice is not type(None):
            try:
                return _converted(choice, value, where)
            except ConfigError as error:
                failures.append(error)
    raise failures[0]


def _converted_sequence(origin: type, arguments: tuple[Any, ...], value: Any, where: str) -> Any:
    if not isinstance(value, (list, tuple)):
        raise ConfigError(f"{where} is {_brief(value)}; expected a list")
    fixed = origin is tuple and Ellipsis not in arguments
    if fixed and len(value) != len(arguments):
        raise ConfigError(f"{where} has {len(value)} items; expected {len(arguments)}")
    hints = arguments if fixed else (arguments[0],) * len(value)
    return origin(_converted(h, v, f"{where}[{i}]") for i, (h, v) in enumerate(zip(hints, value, strict=True)))
