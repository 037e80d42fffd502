# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Show images, depth and blur live in the browser: of a running node, a bag, a session, images, a video or a camera.

dfd view                              # the topics of the running node /dfd
dfd view topics --node robot1/dfd     # of a node in a namespace
dfd view recording/ --lens lens.yaml  # the model on the images of a bag; its recorded answers where it holds some
dfd view session/                     # the model on a session, beside what was measured
dfd view clip.mp4 --lens lens.yaml    # a video; also images, a folder, "*.jpg", a camera's number, a URL
dfd view --host 0.0.0.0               # for other machines: prints an address with a token
dfd view recording/ --rerun out.rrd   # no page: every frame into a file for the Rerun viewer (rerun out.rrd)

For topics the node's parameters say which lens. For everything else the model runs here.
"""

from __future__ import annotations

import argparse
import signal
import sys
import threading
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING

from dfd_perception.cli.ros_arguments import add_ros_arguments
from dfd_perception.errors import RecordingError, UsageError, counted

if TYPE_CHECKING:
    from dfd_perception.view.feed import Feed
    from dfd_perception.view.rerun_log import RerunLog

TOPICS = "topics"
OF_A_NODE = {"node": "--node", "ros_args": "--ros-args"}
OF_A_MODEL = {
    "model": "--model", "lens": "--lens", "fx": "--fx", "backend": "--backend", "min_m": "--min-m", "max_m": "--max-m",
    "recorded": "--recorded", "image_topic": "--image-topic", "depth_unit": "--depth-unit", "size": "--size",
}  # fmt: skip
LARGEST_PORT = 65535


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `dfd view`."""
    from dfd_perception.inference.backends.table import backend_choice

    parser.add_argument(
        "what", nargs="*", default=[TOPICS], metavar="WHAT",
        help="a bag, a session, or images, a folder, a pattern, a video, a camera, a URL (default: topics, of a node)",
    )  # fmt: skip
    live = parser.add_argument_group("topics")
    live.add_argument("--node", metavar="NAME", help="node to look at, with its namespace (default: dfd)")
    model = parser.add_argument_group("everything else")
    model.add_argument("--model", metavar="M", help="model folder by name or path (default: 2hded-small)")
    model.add_argument("--lens", type=Path, metavar="LENS.yaml", help="lens, for models that measure blur")
    model.add_argument("--fx", type=float, metavar="PX", help="calibrated focal length [px] of the images")
    model.add_argument("--backend", **backend_choice() | {"default": None})
    model.add_argument("--min-m", type=float, metavar="M", help="nearer depth is invalid [m] (default: 0)")
    model.add_argument("--max-m", type=float, metavar="M", help="farther depth is invalid [m] (default: 10)")
    model.add_argument("--recorded", action="store_true", default=None, help="show what was recorded; run no model")
    model.add_argument("--image-topic", metavar="T", help="image topic of a bag that has several")
    model.add_argument("--depth-unit", metavar="U", help="of integer depth in a bag: mm (default), tum, kitti, m, or "
                       "metres per count; mono16 needs it")  # fmt: skip
    model.add_argument("--size", metavar="WxH", help="size to ask of a camera [px]")
    server = parser.add_argument_group("server")
    server.add_argument("--host", default="127.0.0.1", help="address to serve on (default: this machine only)")
    server.add_argument("--port", type=int, default=8765, metavar="N",
                        help="port; 0 = any that is free (default: %(default)s)")  # fmt: skip
    server.add_argument("--open", action="store_true", help="open the browser")
    log = parser.add_argument_group("in place of the page")
    log.add_argument(
        "--rerun", type=Path, metavar="FILE.rrd",
        help="log every frame for the Rerun viewer: a bag, images or a video once, topics and cameras until Ctrl-C "
        "(needs rerun-sdk)",
    )  # fmt: skip
    add_ros_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Serve until interrupted."""
    from dfd_perception.view.server import ServerOptions, serve

    if not 0 <= args.port <= LARGEST_PORT:
        raise UsageError(f"--port is {args.port}; expected 0 to {LARGEST_PORT}")
    log = _rerun_log(args)
    feed = _topics(args) if args.what == [TOPICS] else _source(args)
    if log is not None:
        return _write(feed, log, args.rerun)

    def on_ready(url: str) -> None:
        print(f"{feed.title}: open {url} (Ctrl-C ends)", flush=True)
        if args.open and not webbrowser.open(url):
            print("dfd: no browser found to open; open the address by hand", file=sys.stderr)

    serve(feed, ServerOptions(host=args.host, port=args.port), on_ready)
    return 0


def _rerun_log(args: argparse.Namespace) -> RerunLog | None:
    if args.rerun is None:
        return None
    from dfd_perception.view.rerun_log import RerunLog

    if args.open:
        raise UsageError("--open: for the page, which --rerun replaces")
    return RerunLog(args.rerun)


def _write(feed: Feed, log: RerunLog, path: Path) -> int:
    """Write a recording until the feed or a signal ends it."""
    stop = threading.Event()
    signals = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, lambda *_: stop.set()) for number in signals]
    try:
        with log.recording(feed.title):
            print(f"{feed.title}: logging to {path} (Ctrl-C ends)", flush=True)
            feed.run_once(log, stop)
    finally:
        for number, handler in zip(signals, before, strict=True):
            signal.signal(number, handler)
    if not log.frame_count:
        raise RecordingError(f"{feed.title}: no frame came; {path} is not written")
    size_mb = path.stat().st_size / 1e6
    print(f"{path}: {counted(log.frame_count, 'frame')}, {size_mb:.1f} MB. To look at it: rerun {path}")
    return 0


def _topics(args: argparse.Namespace) -> Feed:
    _refuse(args, OF_A_MODEL, "for what the model runs on here; a node has parameters of its own")
    from dfd_perception.ros.tools.live_topics import LiveTopics

    return LiveTopics(args.node or "dfd", args.ros_args)


def _source(args: argparse.Namespace) -> Feed:
    _refuse(args, OF_A_NODE, "for the topics of a node")
    from dfd_perception.core.depth_encoding import parse_depth_unit
    from dfd_perception.core.size import size_from_text
    from dfd_perception.evaluation.sources.bag_options import BagOptions
    from dfd_perception.files.lens_file import read_lens
    from dfd_perception.inference.estimator import EstimatorOptions
    from dfd_perception.media.capture import CaptureRequest
    from dfd_perception.view.opening import ViewRequest, open_feed

    if TOPICS in args.what:
        raise UsageError(f"{TOPICS} stands alone; a folder of that name is ./{TOPICS}")
    near_m, far_m = args.min_m or 0.0, 10.0 if args.max_m is None else args.max_m
    if not 0 <= near_m < far_m:
        raise UsageError(f"--min-m {near_m:g} and --max-m {far_m:g}: expected 0 or more, the first smaller")
    unit_m = None if args.depth_unit is None else parse_depth_unit(args.depth_unit)
    size = None if args.size is None else size_from_text(args.size, "--size", width_first=True)
    return open_feed(
        ViewRequest(
            words=args.what,
            model=args.model or "2hded-small",
            recorded=bool(args.recorded),
            lens=read_lens(args.lens) if args.lens else None,
            fx_px=args.fx,
            bag=BagOptions(image_topic=args.image_topic, depth_unit_m=unit_m),
            capture=CaptureRequest(size=size),
            estimator=EstimatorOptions(backend=args.backend or "auto", depth_min_m=near_m, depth_max_m=far_m),
        )
    )


def _refuse(args: argparse.Namespace, options: dict[str, str], what_for: str) -> None:
    present = [option for name, option in options.items() if getattr(args, name) not in (None, [])]
    if present:
        raise UsageError(f"{', '.join(present)}: {what_for}")
