# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Text that OpenCV draws: its fonts have the letters of ASCII, and it ends the process on names that are not UTF-8."""

from __future__ import annotations

LONGEST_DRAWN = 120
"""Characters; a name may have 255."""


def drawable(text: str) -> str:
    """The text with "?" for what the fonts do not have, the end of a long one left out."""
    ascii_text = text.encode("ascii", "replace").decode("ascii")
    plain = "".join(letter if letter.isprintable() else "?" for letter in ascii_text)
    return plain if len(plain) <= LONGEST_DRAWN else f"{plain[: LONGEST_DRAWN - 3]}..."
