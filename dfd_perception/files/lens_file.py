# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""LENS.yaml: the lens that an image was, or shall be, taken with.

Two forms: the keys of LensDescription at the top of the file, or the parameters of the node,
`/**: ros__parameters: lens: {...}`, in which 0 (blur_floor_px: -1) stands for "not given".
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dfd_perception.core.lens import LensDescription
from dfd_perception.errors import ConfigError
from dfd_perception.files.configuration import from_mapping, read_yaml

ROS_PARAMETERS = "ros__parameters"
SECTION = "lens"


def read_lens(path: Path) -> LensDescription:
    """Read LENS.yaml; unknown keys are refused.

    Raises:
        ConfigError: not readable, an unknown or missing key, or a value of another type.
        LensError: the lens cannot be.
    """
    content = read_yaml(path)
    of_node = _parameters_of_lens(content, path)
    return from_mapping(LensDescription, content if of_node is None else _only_stated(of_node), str(path))


def _parameters_of_lens(content: Mapping[str, Any], path: Path) -> dict[str, Any] | None:
    """Section `lens` of a ROS parameter file, nested or dotted; None of a file in the flat form."""
    nodes = [node[ROS_PARAMETERS] for node in content.values() if isinstance(node, Mapping) and ROS_PARAMETERS in node]
    if not nodes:
        return None
    lens_parameters: dict[str, Any] = {}
    for parameters in nodes:
        if not isinstance(parameters, Mapping):
            raise ConfigError(f"{path}: {ROS_PARAMETERS} is {parameters!r}; expected a mapping")
        section = parameters.get(SECTION, {})
        if not isinstance(section, Mapping):
            raise ConfigError(f"{path}: {SECTION} is {section!r}; expected a mapping")
        dotted = {k.partition(".")[2]: v for k, v in parameters.items() if str(k).startswith(f"{SECTION}.")}
        lens_parameters |= {**section, **dotted}
    if not lens_parameters:
        raise ConfigError(f"{path}: parameters of a node without {SECTION}; expected lens.focus_distance_m and so on")
    return lens_parameters


def _only_stated(parameters: Mapping[str, Any]) -> dict[str, Any]:
    stated = {
        name: value
        for name, value in parameters.items()
        if not _is_number(value) or value != (-1 if name == "blur_floor_px" else 0)
    }
    if "aperture_diameter_mm" in stated:
        stated.pop("f_number", None)  # as the node reads them: the diameter is given instead
    return stated


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
