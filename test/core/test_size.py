# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import pytest

from dfd_perception.core.size import size_from_text
from dfd_perception.errors import ConfigError


def test_height_comes_first():
    assert size_from_text("480x640", "--size") == (480, 640)
    assert size_from_text(" 96X128 ", "--size") == (96, 128)


WRONG = ["", "480", "480x", "x640", "480x640x3", "0x640", "480x-640", "4.5x6", "480x99999", "axb"]


@pytest.mark.parametrize("text", WRONG)
def test_anything_else_is_refused_with_what_was_given(text):
    with pytest.raises(ConfigError, match="parameter input.size is .*expected HEIGHTxWIDTH in pixels"):
        size_from_text(text, "parameter input.size")
