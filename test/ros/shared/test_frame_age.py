# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""When stamps cannot be of the node's clock, and what is advised."""

from __future__ import annotations

import pytest

from dfd_perception.ros.shared.frame_age import clock_problem

NOW_S = 1.8e9


@pytest.mark.parametrize("age_s", [float("nan"), -0.9, 0.0, 0.2, 9.9])
@pytest.mark.parametrize("use_sim_time", [True, False])
def test_delays_and_jitter_are_no_problem(age_s, use_sim_time):
    assert clock_problem(age_s, NOW_S, use_sim_time) is None


@pytest.mark.parametrize(
    ("age_s", "stamp_s", "use_sim_time", "words"),
    [
        (
            200 * 86400.0,
            NOW_S,
            False,
            "200 days behind this node's clock: a bag plays without its time",
        ),
        (
            NOW_S,
            42.0,
            False,
            "20833 days behind this node's clock: they count from the start of a simulation",
        ),
        (11.0, NOW_S, False, "11.0 s behind this node's clock"),
        (-5.0, NOW_S, False, "5.0 s ahead of this node's clock: synchronise the clocks"),
        (
            -7200.0,
            NOW_S,
            True,
            "2.0 h ahead of this node's clock: /clock is not the clock of this camera; set use_sim_time",
        ),
    ],
)
def test_another_clock_is_told_with_what_to_do(age_s, stamp_s, use_sim_time, words):
    assert words in clock_problem(age_s, stamp_s, use_sim_time)
