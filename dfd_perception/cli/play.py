# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Play a bag onto ROS 2 topics: at its own pace or another, once or in a loop, with /clock if asked for.

dfd play recording/                          # all of its topics, once
dfd play recording/ --loop --clock --rate 2  # for nodes with use_sim_time
"""

from __future__ import annotations

import argparse
import json

from dfd_perception.cli.ros_arguments import add_ros_arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `dfd play`."""
    parser.add_argument("bag", metavar="BAG", help="bag folder, or an .mcap or .db3 file")
    parser.add_argument("--topic", action="append", default=[], metavar="T", help="play this topic (repeatable)")
    parser.add_argument("--rate", type=float, default=1.0, metavar="X", help="speed (default: 1, as recorded)")
    parser.add_argument("--loop", action="store_true", help="start again at the end, until interrupted")
    parser.add_argument("--clock", action="store_true", help="publish /clock")
    parser.add_argument("--start", type=float, default=0.0, metavar="S",
                        help="begin so many seconds into the bag (default: 0)")  # fmt: skip
    parser.add_argument("--duration", type=float, metavar="S", help="play so many seconds (default: to the end)")
    parser.add_argument("--wait", type=float, default=5.0, metavar="S",
                        help="longest wait for the first subscribers [s] (default: 5)")  # fmt: skip
    parser.add_argument("--subscribers", type=int, default=1, metavar="N",
                        help="wait for so many of one topic: processes find each other up to a second "
                        "apart (default: 1)")  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print what was played as JSON")
    add_ros_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Play the bag."""
    from dfd_perception.ros.tools.player import PlayOptions, play_bag

    options = PlayOptions(
        topics=args.topic,
        rate=args.rate,
        loop=args.loop,
        clock=args.clock,
        start_s=args.start,
        duration_s=args.duration,
        wait_s=args.wait,
        subscribers=args.subscribers,
    )
    report = play_bag(args.bag, options, args.ros_args)
    if args.json:
        print(json.dumps({"messages": report.messages, "skipped": report.skipped, "passes": report.passes}))
        return 0
    for topic, count in report.messages.items():
        print(f"{count:7d}  {topic}")
    for reason in report.skipped.values():
        print(f"skipped  {reason}")
    return 0
