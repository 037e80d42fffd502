# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""A lens in words, as photographers write it: "35mm f/2.8 1.7m 36um"."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from dfd_perception.core.lens import LensDescription
from dfd_perception.errors import LensError

EXPECTED = 'expected focal length, f-number, focus distance and pixel pitch, such as "35mm f/2.8 1.7m 36um"'
_NUMBER = r"(\d+(?:\.\d+)?|\.\d+)"
_FORMS = (
    (re.compile(rf"{_NUMBER}mm", re.I), "focal_length_mm", 1.0),
    (re.compile(rf"f/?{_NUMBER}", re.I), "f_number", 1.0),
    (re.compile(rf"{_NUMBER}m", re.I), "focus_distance_m", 1.0),
    (re.compile(rf"{_NUMBER}cm", re.I), "focus_distance_m", 0.01),
    (re.compile(rf"{_NUMBER}(?:um|µm|μm)", re.I), "pixel_pitch_um", 1.0),
)  # fmt: skip
_SPACED_UNIT = re.compile(rf"{_NUMBER}\s+(mm|cm|m|um|µm|μm)\b")


def lens_from_text(words: str | Iterable[str], **known: Any) -> LensDescription:
    """A lens from words in any order.

    Args:
        words: one text or its words; units are mm (focal length), m or cm (focus distance), um (pixel pitch).
        known: further fields of LensDescription, such as blur_floor_px; None is not given.

    Raises:
        LensError: a word without meaning, one thing twice, something missing, or a lens that cannot be.

    >>> lens_from_text("35mm f/2.8 1.7m 36um").diameter_mm
    12.5
    """
    text = words if isinstance(words, str) else " ".join(words)
    fields: dict[str, Any] = {}
    for word in _SPACED_UNIT.sub(r"\1\2", text.strip()).split():
        name, value = _meaning(word)
        if name in fields:
            raise LensError(f"{word!r}: {name} is given twice; {EXPECTED}")
        fields[name] = value
    fields |= {name: value for name, value in known.items() if value is not None}
    if "focus_distance_m" not in fields:
        raise LensError(f"the focus distance is missing in {text!r}; {EXPECTED}")
    return LensDescription(**fields)


def is_lens_text(text: str) -> bool:
    """Whether a text is meant as a lens in words, no file name: two of its words say something of one."""
    words = _SPACED_UNIT.sub(r"\1\2", text.strip()).split()
    return sum(any(form.fullmatch(word) for form, _, _ in _FORMS) for word in words) > 1


def _meaning(word: str) -> tuple[str, float]:
    for form, name, factor in _FORMS:
        match = form.fullmatch(word)
        if match:
            return name, float(match[1]) * factor
    raise LensError(f"{word!r} says nothing of a lens; {EXPECTED}")
