# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""`--ros-args ...` at the end of a command that runs a node: launch files put remappings and parameters there."""

from __future__ import annotations

import argparse


def add_ros_arguments(parser: argparse.ArgumentParser) -> None:
    """Take everything after --ros-args, as rclpy wants it."""
    parser.add_argument(
        "--ros-args", nargs=argparse.REMAINDER, default=[], metavar="...", help="for rclpy: -r from:=to, -p name:=value"
    )
