# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Stamps of images that cannot be of this node's clock: of an old bag, a simulation, or a camera with another clock."""

from __future__ import annotations

from dfd_perception.errors import counted

OLDEST_S = 10.0
"""Older is no delay of a camera or a network."""

EARLIEST_S = -1.0
"""More ahead is no jitter: two computers' clocks that are kept together differ by milliseconds."""

FIRST_DATE_S = 1e8
"""Stamps below (1973) count from the start of a simulation or of a device, not from 1970."""

DAY_S = 86400.0


def clock_problem(age_s: float, stamp_s: float, use_sim_time: bool) -> str | None:
    """What is wrong when images and node have different clocks, and what to do; None where they agree.

    Args:
        age_s: node's clock minus stamp; NaN while the node has no time.
        stamp_s: of the image.
        use_sim_time: the node takes its time from /clock.
    """
    if not age_s > OLDEST_S and not age_s < EARLIEST_S:
        return None
    apart = f"images have stamps {_span(abs(age_s))} {'behind' if age_s > 0 else 'ahead of'} this node's clock"
    if use_sim_time:
        cause = "/clock is not the clock of this camera; set use_sim_time to false for a live camera"
    elif stamp_s < FIRST_DATE_S:
        cause = "they count from the start of a simulation (set use_sim_time to true) or of a device (let the driver "
        cause += "stamp with the host's time)"
    elif age_s > 0:
        cause = "a bag plays without its time (dfd play --clock, and use_sim_time true), or the clocks of camera and "
        cause += "node differ (chrony, ntp)"
    else:
        cause = "synchronise the clocks of camera and node (chrony, ntp)"
    return f"{apart}: {cause}. The outputs keep these stamps, so TF, RViz and Nav2 may drop them"


def _span(duration_s: float) -> str:
    """A length of time in the unit that people would take."""
    if duration_s < 120:
        return f"{duration_s:.1f} s"
    if duration_s < 2 * DAY_S:
        return f"{duration_s / 3600:.1f} h"
    return counted(round(duration_s / DAY_S), "day")
