# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Options of `dfd evaluate`, and the plan that they make."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from dfd_perception.cli.point_spread_options import add_point_spread, point_spread_of

if TYPE_CHECKING:
    from dfd_perception.evaluation.plan import EvaluationPlan
    from dfd_perception.inference.estimator import EstimatorOptions

THESIS_TABLES = ("2.1", "3.1", "4.2", "4.3", "5.1")


def add_all(parser: argparse.ArgumentParser) -> None:
    """Declare every option."""
    _add_what(parser)
    _add_bag(parser)
    _add_how(parser)
    live = parser.add_argument_group("live")
    live.add_argument("--live", action="store_true", help="play the bag to the running node and measure its answers")
    live.add_argument("--node", default="dfd", metavar="NAME", help="name of the node (default: dfd)")
    live.add_argument("--rate", type=float, default=1.0, metavar="X", help="speed of playing (default: 1)")
    live.add_argument("--wait", type=float, default=30.0, metavar="S",
                      help="longest wait for the node [s] (default: 30)")  # fmt: skip


def _add_what(parser: argparse.ArgumentParser) -> None:
    what = parser.add_argument_group("what")
    what.add_argument(
        "--model", action="append", default=[], metavar="M", help="model by name or path; with --table also KEY=M"
    )
    what.add_argument("--bag", type=Path, nargs="+", default=[], metavar="BAG", help="bags, all into one report")
    what.add_argument("--data", type=Path, metavar="DIR", help="data set, session, or with --table the root of all")
    what.add_argument("--kind", help="layout of the data set (default: by its look)")
    what.add_argument("--split", help="only this split of the data set")
    what.add_argument("--lens", type=Path, metavar="LENS.yaml", help="lens of the camera; overrides the data set's")
    what.add_argument("--fx", type=float, metavar="PX", help="focal length of the images [px] (default: their own)")
    what.add_argument("--only", default="", metavar="PATTERN",
                      help="only frames of such names, as 'osd_*' (default: all)")  # fmt: skip
    what.add_argument("--without", default="", metavar="PATTERN", help="without frames of such names (default: none)")
    what.add_argument("--every", type=int, default=1, metavar="N", help="every n-th of these frames (default: 1)")
    what.add_argument("--suite", type=Path, metavar="SUITE.yaml", help="several sources below --data, one table")
    what.add_argument("--chart", action="store_true", help="the blur chart: planes of known blur, against the bound")
    what.add_argument("--table", choices=THESIS_TABLES, help="a table of the thesis beside our figures")
    what.add_argument("--out", type=Path, metavar="DIR", help="folder for report.json and report.html")
    what.add_argument("--overwrite", action="store_true", help="begin anew in OUT instead of going on")


def _add_bag(parser: argparse.ArgumentParser) -> None:
    bag = parser.add_argument_group("bags")
    bag.add_argument("--image-topic", metavar="T", help="defocused image (default: found)")
    bag.add_argument("--depth-topic", metavar="T", help="true depth, registered to the image (default: found)")
    bag.add_argument("--aif-topic", metavar="T", help="all-in-focus image (default: found)")
    bag.add_argument(
        "--pairing-ms", type=float, default=20.0, metavar="MS", help="largest distance of a pair (default: 20)"
    )
    bag.add_argument("--stamps", choices=("header", "log"), default="header", help="what to pair by (default: header)")
    bag.add_argument("--depth-unit", metavar="U", help="of integer depth in bags and data sets: mm (default), tum "
                     "(1/5000 m), kitti (1/256 m), m, or metres per count; mono16 needs it")  # fmt: skip
    bag.add_argument("--any-frame", action="store_true", help="take depth of another frame_id as registered")
    bag.add_argument("--board-distance", type=float, metavar="M", help="truth: a flat board, this far away")
    bag.add_argument("--board-region", type=float, nargs=4, default=(0.25, 0.75, 0.25, 0.75),
                     metavar=("TOP", "BOTTOM", "LEFT", "RIGHT"),
                     help="where, as fractions of the image (default: 0.25 0.75 0.25 0.75)")  # fmt: skip
    bag.add_argument("--rectified", choices=("auto", "true", "false"), default="auto",
                     help="images are rectified: fx is that of P (default: by topic and camera_info)")  # fmt: skip
    bag.add_argument("--max-frames", type=int, metavar="N", help="stop after so many images of each bag or data set")
    bag.add_argument("--write-bag", action="store_true", help="also write the answers as a bag, OUT/results_BAG")


def _add_how(parser: argparse.ArgumentParser) -> None:
    from dfd_perception.inference.backends.table import backend_choice, precision_choice

    how = parser.add_argument_group("how")
    how.add_argument("--protocol", default="native", metavar="P",
                     help="native, eigen-nyu or thesis-256 (default: native)")  # fmt: skip
    how.add_argument("--floor", choices=("auto", "fitted", "lens"), default="auto",
                     help="blur floor of the truth: read by the model off frames that are not scored with it, or that "
                     "of the lens (default: fitted for data sets whose lens states none)")  # fmt: skip
    add_point_spread(how)
    how.add_argument("--sharp-input", action="store_true", help="feed the all-in-focus image instead")
    how.add_argument("--min-depth", type=float, metavar="M",
                     help="truth nearer does not count [m] (default: all counts)")  # fmt: skip
    how.add_argument("--max-depth", type=float, metavar="M",
                     help="truth farther does not count [m] (default: all counts)")  # fmt: skip
    how.add_argument("--clamp", action="store_true", default=None,
                     help="move answers outside these two bounds to them, as published figures mostly do")  # fmt: skip
    how.add_argument("--edges", action=argparse.BooleanOptionalAction,
                     help="edge divergence, the slowest measure (default: for data sets, not for bags)")  # fmt: skip
    how.add_argument("--baseline", action="append", default=[], choices=("constant", "classical", "sharp"),
                     help="also measure what the model has to beat; repeatable")  # fmt: skip
    how.add_argument("--valid-depth", type=float, nargs=2, default=(0.0, 10.0), metavar=("NEAR", "FAR"),
                     help="answers outside are invalid, as in the node (default: 0 10)")  # fmt: skip
    how.add_argument("--max-rel-std", type=float, default=0.0, metavar="S",
                     help="answers less certain than this fraction of themselves are invalid")  # fmt: skip
    how.add_argument("--depth-range", type=float, nargs=2, metavar=("NEAR", "FAR"),
                     help="of the colours [m] (default: of the scene)")  # fmt: skip
    how.add_argument("--backend", **backend_choice())
    how.add_argument("--precision", **precision_choice())
    how.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N (default: auto)")
    how.add_argument("--threads", type=int, default=0, metavar="N", help="CPU threads of each worker (default: all)")
    how.add_argument("--input-size", metavar="HxW", help="fit images into this size before the network")
    how.add_argument("--workers", type=int, default=1, metavar="N", help="processes here (default: 1)")
    how.add_argument("--share", metavar="I/N", help="only this share; whoever ends last writes the report")
    how.add_argument("--json", action="store_true", help="print the figures as JSON")


def plan_of(args: argparse.Namespace) -> EvaluationPlan:
    """The EvaluationPlan of the command line.

    Raises:
        ConfigError: values that contradict each other.
    """
    import dataclasses

    from dfd_perception.core.depth_encoding import parse_depth_unit
    from dfd_perception.evaluation.plan import EvaluationPlan
    from dfd_perception.evaluation.scoring.protocol import protocol_named
    from dfd_perception.evaluation.sources.bag_options import BagOptions
    from dfd_perception.evaluation.sources.dataset_source import FrameFilter

    edges = args.edges if args.edges is not None else args.data is not None
    protocol = dataclasses.replace(protocol_named(args.protocol), edges=edges)
    bounds = {"min_depth_m": args.min_depth, "max_depth_m": args.max_depth, "clamp": args.clamp}
    protocol = dataclasses.replace(protocol, **{name: value for name, value in bounds.items() if value is not None})
    options = BagOptions(
        image_topic=args.image_topic,
        depth_topic=args.depth_topic,
        aif_topic=args.aif_topic,
        bound_ms=args.pairing_ms,
        stamps=args.stamps,
        depth_unit_m=None if args.depth_unit is None else parse_depth_unit(args.depth_unit),
        any_frame=args.any_frame,
        board_distance_m=args.board_distance,
        board_region=tuple(args.board_region),
        rectified=args.rectified,
        max_frames=args.max_frames,
    )
    return EvaluationPlan(
        model=args.model[0],
        out=args.out,
        bags=tuple(args.bag),
        data=args.data,
        data_kind=args.kind,
        split=args.split,
        lens=args.lens,
        floor=args.floor,
        frames=FrameFilter(only=args.only, without=args.without, every=args.every),
        fx_px=args.fx,
        bag_options=options,
        estimator=estimator_options_of(args),
        protocol=protocol,
        point_spread=point_spread_of(args),
        sharp_input=args.sharp_input,
        baselines=tuple(args.baseline),
        write_bag=args.write_bag,
        depth_range_m=None if args.depth_range is None else tuple(args.depth_range),
    )


def estimator_options_of(args: argparse.Namespace) -> EstimatorOptions:
    """How to run the model.

    Raises:
        ConfigError: a size or a range that cannot be.
    """
    from dfd_perception.core.size import size_from_text
    from dfd_perception.errors import ConfigError
    from dfd_perception.inference.estimator import EstimatorOptions

    size = None if args.input_size is None else size_from_text(args.input_size, "--input-size")
    near, far = args.valid_depth
    if not 0 <= near < far:
        raise ConfigError(f"--valid-depth is {near:g} {far:g}; expected 0 <= NEAR < FAR, in metres")
    return EstimatorOptions(
        backend=args.backend,
        precision=args.precision,
        device=args.device,
        num_threads=args.threads,
        input_size=size,
        depth_min_m=near,
        depth_max_m=far,
        depth_max_rel_std=args.max_rel_std,
    )
