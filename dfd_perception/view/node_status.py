# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""The node's message on /diagnostics as a status of the page: its figures become plots."""

from __future__ import annotations

import re
from collections.abc import Mapping

from dfd_perception.view.frame_slot import Status

RATES = {"rate in [1/s]": "rate in", "rate out [1/s]": "rate out"}
NO_DEPTH = "NaN ratio"
MEDIAN = re.compile(r"(?P<stage>.+) p50 \[ms\]")


def status_of(level: int, message: str, values: Mapping[str, str], time_s: float) -> Status:
    """A status of what one DiagnosticStatus says; values that are no numbers are shown and not plotted."""
    series = {}
    for key, text in values.items():
        median = MEDIAN.fullmatch(key)
        name = RATES.get(key) or ("without depth" if key == NO_DEPTH else median["stage"] if median else None)
        number = _number(text)
        if name is not None and number is not None:
            series[name] = number
    return Status(level=level, message=message, values=dict(values), series=series, time_s=time_s)


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if abs(number) < float("inf") else None
