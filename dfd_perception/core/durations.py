# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Seconds and rates that a user gives: not a number, endless and negative ones are refused in one line."""

from __future__ import annotations

from dfd_perception.errors import UsageError

LONGEST_S = 1e9
"""31 years: nanoseconds of it still fit into a time stamp of 64 bits."""


def require_duration(name: str, value_s: float | None, may_be_0: bool = False) -> None:
    """Check seconds; None passes.

    Raises:
        UsageError: not a number, negative, or longer than LONGEST_S.
    """
    if value_s is None or (0 < value_s <= LONGEST_S) or (may_be_0 and value_s == 0):
        return
    raise UsageError(f"{name} is {value_s:g}; expected {'0' if may_be_0 else 'above 0'} to {LONGEST_S:g} seconds")


def require_rate(name: str, value: float) -> None:
    """Check a rate, per second or as a factor.

    Raises:
        UsageError: not a number, infinite, 0 or negative.
    """
    if not 0 < value < float("inf"):
        raise UsageError(f"{name} is {value:g}; expected above 0")
