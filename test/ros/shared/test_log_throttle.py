# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from dfd_perception.errors import LONGEST_LINE, LONGEST_MESSAGE, DatasetError, shortened
from dfd_perception.ros.shared.node_log import BURST, REFILL_S, REPEAT_S, LineThrottle


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_equal_lines_are_said_once_and_counted():
    clock = Clock()
    throttle = LineThrottle(clock)
    said = []
    for number in range(100):
        clock.now += 0.05
        said.append(throttle.admit("warning", f"time stamps jumped back by {number}.0 s"))
    assert [line for line in said if line] == ["time stamps jumped back by 0.0 s"]
    clock.now += REPEAT_S
    assert throttle.admit("warning", "time stamps jumped back by 9.5 s") == (
        "time stamps jumped back by 9.5 s (99 more like it since)"
    )


def test_quoted_words_make_no_other_kind_but_another_severity_does():
    throttle = LineThrottle(Clock())
    assert throttle.admit("error", "encoding 'abc' is not known")
    assert throttle.admit("error", "encoding 'it\\'s \"x\"' is not known") is None
    assert throttle.admit("info", "encoding 'abc' is not known")
    assert throttle.admit("error", "width 'abc' is not known")


def test_lines_of_ever_new_kinds_are_bounded():
    clock = Clock()
    throttle = LineThrottle(clock)
    words = [f"line {'a' * (number % 500)}{'b' * (number // 500)}" for number in range(1200)]
    said = 0
    for word in words:
        clock.now += 0.05
        said += throttle.admit("error", word) is not None
    assert BURST < said <= BURST + 60 / REFILL_S
    clock.now += 60
    line = throttle.admit("error", "after the flood")
    assert line is not None
    assert "other lines were held back)" in line


def test_long_lines_lose_their_middle():
    text = "frame refused: encoding '" + "x" * 100_000 + "' is not known; expected rgb8"
    line = shortened(text)
    assert len(line) <= LONGEST_LINE
    assert line.startswith("frame refused: encoding 'x")
    assert line.endswith("is not known; expected rgb8")
    assert "characters more" in line
    assert shortened("two\nlines") == "two lines"
    assert shortened("") == ""


def test_an_error_that_quotes_a_file_is_held_short():
    """A key of a file may be as long as the file."""
    said = str(DatasetError(f"session.json has unknown keys {'{' * 100_000}; restore it, or record anew"))
    assert len(said) <= LONGEST_MESSAGE
    assert said.startswith("session.json has unknown keys {{{")
    assert said.endswith("{; restore it, or record anew")
    assert str(DatasetError("two\nlines")) == "two lines"
