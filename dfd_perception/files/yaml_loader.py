# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""YAML text to plain values, without the traps of YAML 1.1 that turn a slip into another number."""

from __future__ import annotations

from typing import Any

import yaml

from dfd_perception.errors import ConfigError, reason_of

MERGE = "tag:yaml.org,2002:merge"


class PlainLoader(yaml.SafeLoader):
    """PyYAML's safe loader, but a key counts once, 030 is thirty (YAML 1.1: octal), 1:30 is no number (1.1: ninety)."""

    def compose_mapping_node(self, anchor: Any) -> Any:
        """Refuse a key that is given twice; PyYAML takes the last.

        Raises:
            yaml.YAMLError: there is one.
        """
        node = super().compose_mapping_node(anchor)
        seen = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag == MERGE:
                continue
            if key.value in seen:
                raise yaml.composer.ComposerError(None, None, f"{key.value[:60]} is given twice", key.start_mark)
            seen.add(key.value)
        return node

    def number(self, node: Any) -> Any:
        """An integer or float; text where it is neither by YAML 1.2."""
        text = str(self.construct_scalar(node))
        if ":" in text:
            return text
        digits = text.replace("_", "").lstrip("+-")
        if digits.isdecimal():
            return int(digits) * (-1 if text.startswith("-") else 1)
        is_integer = node.tag.endswith(":int")
        return self.construct_yaml_int(node) if is_integer else self.construct_yaml_float(node)


for kind in ("int", "float"):
    PlainLoader.add_constructor(f"tag:yaml.org,2002:{kind}", PlainLoader.number)


def parsed_yaml(text: str, where: str) -> Any:
    """What YAML text says; dates that are none, numbers without end and endless nesting are refused like bad syntax.

    Args:
        text: of one document.
        where: what it came from, for messages.

    Raises:
        ConfigError: it is not valid, or holds a key twice.
    """
    try:
        return yaml.load(text, Loader=PlainLoader)  # noqa: S506 - a safe loader
    except (yaml.YAMLError, ValueError, RecursionError, TypeError, OverflowError, LookupError, AttributeError) as error:
        # PyYAML's constructors raise what they come upon: "!!bool x" is a KeyError, "!!timestamp x" an AttributeError.
        raise ConfigError(f"{where}: not valid YAML ({reason_of(error)})") from error
