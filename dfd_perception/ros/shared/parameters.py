# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""One declaration per parameter: a frozen dataclass field becomes a ROS parameter with type, bounds and description.

    @dataclass(frozen=True, kw_only=True)
    class Parameters:
        max_age_s: float = parameter("max_age_s", 0.0, "Frames older than this are dropped [s]; 0 = never", low=0.0)

    declared = DeclaredParameters(node, Parameters)    # in the constructor: never raises
    parameters = declared.read()                       # in on_configure: ConfigError that names what is wrong

A value from a YAML file that is out of range, of another type, or of a name that does not exist must not end the
process: it is remembered, the default stands in, and `read` refuses until it is set right.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor, SetParametersResult
from rclpy.exceptions import (
    InvalidParameterTypeException,
    InvalidParameterValueException,
    ParameterUninitializedException,
)
from rclpy.node import Node
from rclpy.parameter import Parameter

from dfd_perception.errors import ConfigError
from dfd_perception.files.configuration import IN_WORDS

P = TypeVar("P")
FLOAT_LIMIT = 1e12
INTEGER_LIMIT = 2**31 - 1
KINDS = Parameter.Type
TYPES = {str: KINDS.STRING, bool: KINDS.BOOL, int: KINDS.INTEGER, float: KINDS.DOUBLE}


@dataclasses.dataclass(frozen=True)
class Described:
    """What a parameter is, apart from its type and default."""

    name: str
    description: str
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    read_only: bool = False
    dynamic: bool = False
    """Takes effect while the node runs; others only when it is configured."""


def parameter(
    name: str,
    default: Any,
    description: str,
    *,
    low: float | None = None,
    high: float | None = None,
    choices: Sequence[str] = (),
    read_only: bool = False,
    dynamic: bool = False,
) -> Any:
    """A dataclass field that is a ROS parameter of this name (dots make groups)."""
    described = Described(name, description, low, high, tuple(choices), read_only, dynamic)
    return dataclasses.field(default=default, metadata={"parameter": described})


@dataclasses.dataclass(frozen=True, kw_only=True)
class NodeParameters:
    """Of every node of this package."""

    autostart: bool = parameter("autostart", True, "Configure and activate at start", read_only=True)
    diagnostics_period_s: float = parameter(
        "diagnostics.period_s", 1.0, "Time between diagnostics [s]", low=0.05, high=3600.0
    )


class DeclaredParameters(Generic[P]):
    """The parameters of a node, declared from a dataclass and read back as one."""

    def __init__(self, node: Node, cls: type[P]) -> None:
        self._node = node
        self._cls = cls
        self._fields = {f.name: f for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
        self._described: dict[str, Described] = {k: f.metadata["parameter"] for k, f in self._fields.items()}
        self._by_name = {d.name: d for d in self._described.values()}
        self._problems: dict[str, str] = {}
        self.locked = False
        """While true (the node is configured), parameters that are not dynamic cannot be set."""
        self.on_change: Callable[[], None] | None = None
        for key, described in self._described.items():
            self._declare(described, self._fields[key].default)
        node.add_on_set_parameters_callback(self._check_set)

    def read(self) -> P:
        """The values as the dataclass.

        Raises:
            ConfigError: a name that does not exist, or values out of bounds; all of them, by name.
        """
        problems = [*self._problems.values(), *self._unknown_names()]
        if problems:
            raise ConfigError("; ".join(problems))
        values = {k: self._node.get_parameter(d.name).value for k, d in self._described.items()}
        try:
            return self._cls(**values)
        except ValueError as error:
            raise ConfigError(str(error)) from error

    def _declare(self, described: Described, default: Any) -> None:
        kind = type(default)
        descriptor = _descriptor(described, kind)
        name = described.name
        try:
            value = self._node.declare_parameter(name, default, descriptor).value
            problem = _choice_problem(described, value)
        except InvalidParameterTypeException:
            override = self._override(name)
            if kind is float and type(override) is int:
                # "0.6" and "1" are both a number to whoever writes a YAML file.
                problem = _bounds_problem(described, float(override))
                value = default if problem else float(override)
            elif kind is str and isinstance(override, bool) and str(override).lower() in described.choices:
                # YAML reads true and false, without quotes, as something else than words.
                problem, value = None, str(override).lower()
            else:
                problem, value = f"parameter {name} is {override!r}; expected {IN_WORDS[kind]}", default
            self._node.declare_parameter(name, value, descriptor, ignore_override=True)
        except (InvalidParameterValueException, ParameterUninitializedException):
            override = self._override(name)
            problem = _bounds_problem(described, override) or f"parameter {name} is {override!r}, which is not allowed"
            self._node.declare_parameter(name, default, descriptor, ignore_override=True)
        if problem:
            self._problems[name] = problem

    def _override(self, name: str) -> Any:
        override = self._overrides().get(name)
        return None if override is None else override.value

    def _overrides(self) -> dict[str, Parameter]:
        # rclpy offers no public way to see values for names that are not declared.
        return getattr(self._node, "_parameter_overrides", {})

    def _unknown_names(self) -> list[str]:
        unknown = [
            name
            for name in self._overrides()
            if not self._node.has_parameter(name) and not name.startswith(("qos_overrides.", "use_sim_time"))
        ]
        return [f"unknown parameter {name}{_suggestion(name, list(self._by_name))}" for name in unknown]

    def _check_set(self, parameters: list[Parameter]) -> SetParametersResult:
        for changed in parameters:
            described = self._by_name.get(changed.name)
            if described is None:
                continue
            problem = _choice_problem(described, changed.value)
            if problem is None and self.locked and not described.dynamic:
                problem = f"parameter {changed.name} takes effect at configure: deactivate and clean up first"
            if problem:
                return SetParametersResult(successful=False, reason=problem)
        for changed in parameters:
            self._problems.pop(changed.name, None)
        if self.on_change is not None and any(p.name in self._by_name for p in parameters):
            # This callback runs before the values change; the owner looks at them later.
            self.on_change()
        return SetParametersResult(successful=True)


def _descriptor(described: Described, kind: type) -> ParameterDescriptor:
    descriptor = ParameterDescriptor(
        name=described.name, type=TYPES[kind].value, description=described.description, read_only=described.read_only
    )
    if described.choices:
        descriptor.additional_constraints = f"One of: {', '.join(described.choices)}"
    if described.low is None and described.high is None:
        return descriptor
    low, high = described.low, described.high
    if kind is int:
        integers = IntegerRange(from_value=int(low or 0), to_value=int(INTEGER_LIMIT if high is None else high), step=1)
        descriptor.integer_range = [integers]
    else:
        limit = FLOAT_LIMIT if high is None else float(high)
        descriptor.floating_point_range = [FloatingPointRange(from_value=float(low or 0.0), to_value=limit, step=0.0)]
    return descriptor


def _suggestion(name: str, known: list[str]) -> str:
    # What goes on where the given name ends, as record_at_start after record, and what is spelled nearly so.
    longer = [other for other in known if other.startswith((f"{name}_", f"{name}."))][:3]
    near = list(dict.fromkeys([*longer, *difflib.get_close_matches(name, known, n=1, cutoff=0.5)]))
    return f" (did you mean {' or '.join(near)}?)" if near else f"; there are {', '.join(known)}"


def _choice_problem(described: Described, value: Any) -> str | None:
    if described.choices and value not in described.choices:
        return f"parameter {described.name} is {value!r}; expected one of {', '.join(described.choices)}"
    return None


def _bounds_problem(described: Described, value: Any) -> str | None:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        low, high = described.low, described.high
        if (low is not None and value < low) or (high is not None and value > high) or value != value:
            bounds = f"{low:g} or more" if high is None and low is not None else f"{low or 0:g} to {high:g}"
            return f"parameter {described.name} is {value!r}; expected {bounds}"
    return None
