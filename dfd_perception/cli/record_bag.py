# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Record ROS 2 topics into a bag until interrupted (Ctrl-C) or for a given time.

dfd record-bag out --topic /camera/image_raw --topic /camera/camera_info
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from dfd_perception.cli.ros_arguments import add_ros_arguments
from dfd_perception.errors import counted


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `dfd record-bag`."""
    parser.add_argument("out", metavar="OUT", type=Path, help="folder of the new bag")
    parser.add_argument(
        "--topic", action="append", default=[], metavar="T", help="record this one (repeatable; none = all)"
    )
    parser.add_argument("--storage", choices=("mcap", "sqlite3"), default="mcap", help="file format (default: mcap)")
    parser.add_argument(
        "--compression", choices=("none", "storage", "message", "file"), default="none",
        help="zstd: storage (mcap chunks; any reader copes), message or file (rosbag2's own) "
        "(default: none)",
    )  # fmt: skip
    parser.add_argument("--duration", type=float, metavar="S", help="end after so many seconds (default: at Ctrl-C)")
    parser.add_argument("--json", action="store_true", help="print what was recorded as JSON")
    add_ros_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Record."""
    from dfd_perception.ros.tools.bag_recorder import RecordOptions, record_bag

    options = RecordOptions(
        topics=args.topic, storage=args.storage, compression=args.compression, duration_s=args.duration
    )
    report = record_bag(args.out, options, args.ros_args)
    if args.json:
        print(json.dumps({"messages": report.messages, "dropped": report.dropped, "skipped": report.skipped}))
        return 0
    for topic, count in report.messages.items():
        print(f"{count:7d}  {topic}")
    for topic, reason in report.skipped.items():
        print(f"skipped  {topic}: {reason}")
    if report.dropped:
        print(f"dropped  {counted(report.dropped, 'message')} that came faster than the disk takes them")
    print(f"{counted(sum(report.messages.values()), 'message')} in {args.out}")
    return 0
