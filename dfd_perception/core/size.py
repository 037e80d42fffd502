# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Sizes of images: height first, as arrays have them."""

from __future__ import annotations

import re
from numbers import Integral
from typing import Any

from dfd_perception.errors import ConfigError

Size = tuple[int, int]
"""Height and width [px]."""

LARGEST_SIDE_PX = 8192


def is_size(value: Any) -> bool:
    """Whether a value is a height and a width, each of 1 to LARGEST_SIDE_PX."""
    return (
        isinstance(value, (tuple, list))
        and len(value) == 2
        and all(isinstance(side, Integral) and 1 <= int(side) <= LARGEST_SIDE_PX for side in value)
    )


def size_from_text(text: str, what: str, width_first: bool = False) -> Size:
    """Height and width of "480x640".

    Args:
        what: what the text is, for the message: "--size", "parameter input.size".
        width_first: "640x480", as cameras are asked.

    Raises:
        ConfigError: anything else, or a side outside 1 to LARGEST_SIDE_PX.
    """
    match = re.fullmatch(r"(\d{1,5})x(\d{1,5})", text.strip().lower())
    sides = (int(match[1]), int(match[2])) if match else (0, 0)
    if not all(1 <= side <= LARGEST_SIDE_PX for side in sides):
        form = "WIDTHxHEIGHT in pixels, such as 640x480" if width_first else "HEIGHTxWIDTH in pixels, such as 480x640"
        raise ConfigError(f"{what} is {text!r}; expected {form}, {LARGEST_SIDE_PX} at most")
    return sides[::-1] if width_first else sides
