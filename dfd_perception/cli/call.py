# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Call a service of a running node and print its answer, without the ros2 command line.

dfd call start                      # the recorder begins a session (stop ends it, capture takes one static pair)
dfd call reload                     # the node loads the weights of its model again
dfd call snapshot --node /left/dfd  # the node in the namespace /left keeps its last images

Exit code 0: done. Exit code 1: the node refused, or did not answer.
"""

from __future__ import annotations

import argparse
import json
import sys

from dfd_perception.cli.ros_arguments import add_ros_arguments

RECORDER, NODE = "ground_truth_recorder", "dfd"
CALLS = {
    "start": (RECORDER, "start", "begin a session"),
    "stop": (RECORDER, "stop", "end the session"),
    "capture": (RECORDER, "capture", "record one static pair"),
    "reload": (NODE, "reload_model", "load the weights again, keep the old ones if the new ones fail"),
    "snapshot": (NODE, "save_snapshot", "write input, depth and deblurred image of the last frame to disk"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `dfd call`."""
    words = "; ".join(f"{name}: {text}" for name, (_, _, text) in CALLS.items())
    parser.add_argument("call", choices=tuple(CALLS), metavar="CALL", help=words)
    parser.add_argument("--node", help="name of the node, with its namespace (default: ground_truth_recorder or dfd)")
    parser.add_argument("--wait", type=float, default=5.0, metavar="S",
                        help="longest wait for the node [s] (default: 5)")  # fmt: skip
    parser.add_argument("--limit", type=float, default=120.0, metavar="S",
                        help="longest wait for its answer [s] (default: 120)")  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print the answer as JSON")
    add_ros_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Call."""
    from dfd_perception.ros.tools.service_call import call_trigger

    node, service, _ = CALLS[args.call]
    answer = call_trigger(args.node or node, service, args.wait, args.limit, args.ros_args)
    if args.json:
        print(json.dumps(answer._asdict()))
    elif answer.success:
        print(answer.message)
    else:
        print(f"dfd: {answer.message}", file=sys.stderr)
    return 0 if answer.success else 1
