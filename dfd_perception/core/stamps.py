# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Time stamps of message headers, of ROS and of bags alike."""

from __future__ import annotations

from typing import Protocol


class Stamp(Protocol):
    """builtin_interfaces/Time."""

    sec: int
    nanosec: int


class StampedHeader(Protocol):
    """std_msgs/Header, as far as time goes."""

    stamp: Stamp


def header_stamp_ns(header: StampedHeader) -> int:
    """The header's time stamp [ns]."""
    return int(header.stamp.sec) * 1_000_000_000 + int(header.stamp.nanosec)
