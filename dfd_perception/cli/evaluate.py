"""Measure a model on bags or on a data set; writes report.json and report.html.

A bag is read directly, without ROS: mcap or sqlite3, compressed or not, one file or split. Pictures are paired with
depth and all-in-focus topics by stamp; with depth only, or with neither, the report holds what can be said. The
same command goes on where an earlier one stopped. --live plays the bag to a running node and measures its answers.
Under torchrun (RANK, WORLD_SIZE) every process takes its share, and the last writes the report; without it,
--share 0/2 on one machine and --share 1/2 on another do the same, with an OUT that both see.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

THESIS_TABLES = ("2.1", "3.1", "4.2", "4.3", "5.1")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `dfd evaluate`."""
    _add_what(parser)
    _add_bag(parser)
    _add_how(parser)
    live = parser.add_argument_group("live")
    live.add_argument("--live", action="store_true", help="play the bag to the running node and measure its answers")
    live.add_argument("--node", default="dfd", metavar="NAME", help="name of the node (default: dfd)")
    live.add_argument("--rate", type=float, default=1.0, help="speed of playing (default: 1)")
    live.add_argument(
        "--wait", type=float, default=30.0, metavar="S", help="wait so long for the node (default: 30)"
    )


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
    what.add_argument("--table", choices=THESIS_TABLES, help="a table of the thesis beside our figures")
    what.add_argument("--out", type=Path, metavar="DIR", help="folder for report.json and report.html")
    what.add_argument("--overwrite", action="store_true", help="begin anew in OUT instead of going on")


def _add_bag(parser: argparse.ArgumentParser) -> None:
    bag = parser.add_argument_group("bags")
    bag.add_argument("--image-topic", metavar="T", help="defocused picture (default: found)")
    bag.add_argument("--depth-topic", metavar="T", help="true depth, registered to the picture (default: found)")
    bag.add_argument("--aif-topic", metavar="T", help="all-in-focus picture (default: found)")
    bag.add_argument(
        "--pairing-ms", type=float, default=20.0, metavar="MS", help="largest distance of a pair (default: 20)"
    )
    bag.add_argument("--stamps", choices=("header", "log"), default="header", help="what to pair by (default: header)")
    bag.add_argument("--depth-unit", choices=("mm", "m"), help="of mono16 depth, whose encoding has no unit")
    bag.add_argument("--any-frame", action="store_true", help="take depth of another frame_id as registered")
    bag.add_argument(
        "--board-distance", type=float, metavar="M", help="truth: a flat board, this far away"
    )
    bag.add_argument("--board-region", type=float, nargs=4, default=(0.25, 0.75, 0.25, 0.75),
                     metavar=("TOP", "BOTTOM", "LEFT", "RIGHT"), help="where, as fractions of the picture")  # fmt: skip
    bag.add_argument("--max-frames", type=int, metavar="N", help="stop after so many pictures of each bag")
    bag.add_argument("--write-bag", action="store_true", help="also write the answers as a bag, OUT/results_BAG")


def _add_how(parser: argparse.ArgumentParser) -> None:
    how = parser.add_argument_group("how")
    how.add_argument("--protocol", default="native", help="native, eigen-nyu or thesis-256 (default: native)")
    how.add_argument("--psf", choices=("disk", "gaussian"), default="disk", help="blur given to sharp RGB-D")
    how.add_argument("--sigma-per-coc", type=float, default=0.25, metavar="R", help="its sigma by diameter (0.25)")
    how.add_argument("--sharp-input", action="store_true", help="feed the all-in-focus picture instead")
    how.add_argument("--min-depth", type=float, metavar="M", help="truth nearer does not count")
    how.add_argument("--max-depth", type=float, metavar="M", help="truth farther does not count")
    how.add_argument("--edges", action=argparse.BooleanOptionalAction,
                     help="edge divergence, the slowest measure (default: for data sets, not for bags)")  # fmt: skip
    how.add_argument("--baseline", action="append", default=[], choices=("constant", "classical", "sharp"),
                     help="also measure what the model has to beat; repeatable")  # fmt: skip
    how.add_argument("--valid-depth", type=float, nargs=2, default=(0.0, 10.0), metavar=("NEAR", "FAR"),
                     help="answers outside are invalid, as in the node (default: 0 10)")  # fmt: skip
    how.add_argument("--max-rel-std", type=float, default=0.0, metavar="S",
                     help="answers less certain than this fraction of themselves are invalid")  # fmt: skip
    how.add_argument("--depth-range", type=float, nargs=2, metavar=("NEAR", "FAR"), help="of the colours [m]")
    how.add_argument("--backend", default="auto", help="auto, tensorrt, openvino, onnxruntime, torch (default: auto)")
    how.add_argument("--precision", default="fp32", help="fp32, fp16, bf16, int8 (default: fp32)")
    how.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N (default: auto)")
    how.add_argument("--threads", type=int, default=0, metavar="N", help="CPU threads of each worker (default: all)")
    how.add_argument("--input-size", metavar="HxW", help="fit pictures into this size before the network")
    how.add_argument("--workers", type=int, default=1, metavar="N", help="processes here (default: 1)")
    how.add_argument("--share", metavar="I/N", help="only this share; whoever ends last writes the report")
    how.add_argument("--json", action="store_true", help="print the figures as JSON")


def run(args: argparse.Namespace) -> int:
    """Evaluate and print where the report is."""
    from dfd_perception.errors import ConfigError

    if args.table:
        return _run_table(args)
    if args.out is None:
        raise ConfigError("--out is missing; expected a folder for report.json and report.html")
    if len(args.model) != 1 or "=" in args.model[0]:
        raise ConfigError(f"--model is {' '.join(args.model) or 'missing'}; expected one model by name or path")
    if args.live:
        return _run_live(args)
    from dfd_perception.evaluation.evaluate import (
        begin_anew,
        checked_share,
        evaluate,
        evaluate_share,
        share_from_environment,
    )

    share = checked_share(args.share) if args.share else share_from_environment()
    plan = _plan(args)
    if args.overwrite:
        if share is not None:
            raise ConfigError("--overwrite with shares would remove what another share writes; empty OUT first")
        begin_anew(args.out)
    with _Bar(args.json) as progress:
        report = evaluate_share(plan, share, progress) if share else evaluate(plan, args.workers, progress)
    if report is None:
        assert share is not None
        print(f"share {share[0]} of {share[1]} done; the last one writes the report", file=sys.stderr)
        return 0
    _print(report, args)
    return 0


def _plan(args: argparse.Namespace, **changes: Any) -> Any:
    import dataclasses

    from dfd_perception.core.point_spread import PointSpread
    from dfd_perception.evaluation.evaluate_bag import BagOptions
    from dfd_perception.evaluation.plan import EvaluationPlan
    from dfd_perception.evaluation.protocol import protocol_named

    edges = args.edges if args.edges is not None else args.data is not None
    protocol = dataclasses.replace(protocol_named(args.protocol), edges=edges)
    for name, value in (("min_depth_m", args.min_depth), ("max_depth_m", args.max_depth)):
        if value is not None:
            protocol = dataclasses.replace(protocol, **{name: value})
    options = BagOptions(
        image_topic=args.image_topic,
        depth_topic=args.depth_topic,
        aif_topic=args.aif_topic,
        bound_ms=args.pairing_ms,
        stamps=args.stamps,
        depth_unit=args.depth_unit,
        any_frame=args.any_frame,
        board_distance_m=args.board_distance,
        board_region=tuple(args.board_region),
        max_frames=args.max_frames,
    )
    values: dict[str, Any] = {
        "model": args.model[0],
        "out": args.out,
        "bags": tuple(args.bag),
        "data": args.data,
        "data_kind": args.kind,
        "split": args.split,
        "lens": args.lens,
        "bag_options": options,
        "estimator": _estimator_options(args),
        "protocol": protocol,
        "point_spread": PointSpread(
            exponent=2.0 if args.psf == "gaussian" else float("inf"), sigma_per_coc=args.sigma_per_coc
        ),
        "sharp_input": args.sharp_input,
        "baselines": tuple(args.baseline),
        "write_bag": args.write_bag,
        "depth_range_m": None if args.depth_range is None else tuple(args.depth_range),
    }
    return EvaluationPlan(**(values | changes))


def _estimator_options(args: argparse.Namespace) -> Any:
    from dfd_perception.errors import ConfigError
    from dfd_perception.inference.estimator import EstimatorOptions

    size = None
    if args.input_size is not None:
        parts = args.input_size.lower().split("x")
        if len(parts) != 2 or not all(part.isdigit() and int(part) for part in parts):
            raise ConfigError(f"--input-size is {args.input_size!r}; expected height x width, such as 480x640")
        size = (int(parts[0]), int(parts[1]))
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


def _run_live(args: argparse.Namespace) -> int:
    from dfd_perception.errors import ConfigError
    from dfd_perception.evaluation.evaluate import begin_anew
    from dfd_perception.evaluation.live import evaluate_answers
    from dfd_perception.ros.evaluation_session import LiveRequest, play_and_collect

    if len(args.bag) != 1:
        raise ConfigError(f"--live takes one bag, got {len(args.bag)}")
    plan = _plan(args)
    if (args.out / "report.json").exists() and not args.overwrite:
        raise ConfigError(f"{args.out} holds a report, and playing cannot go on; --overwrite begins anew")
    begin_anew(args.out)
    request = LiveRequest(
        bag=args.bag[0],
        options=plan.bag_options,
        answers=args.out / "results_live",
        node=args.node,
        rate=args.rate,
        wait_s=args.wait,
    )
    with _Bar(args.json, "playing") as progress:
        played = play_and_collect(request, progress)
    with _Bar(args.json, "scoring") as progress:
        report = evaluate_answers(plan, request.answers, played, progress)
    _print(report, args)
    return 0


def _run_table(args: argparse.Namespace) -> int:
    from dfd_perception.errors import ConfigError
    from dfd_perception.evaluation.tables import TableRequest, fill_table, table_text

    if args.data is None:
        raise ConfigError("--data is missing; expected the folder that holds the data sets of the table")
    request = TableRequest(
        number=args.table,
        root=args.data,
        models=tuple(args.model),
        lens=args.lens,
        out=args.out,
        estimator=_estimator_options(args),
        protocol=None if args.protocol == "native" else args.protocol,
        edges=args.edges is not False,
    )
    filled = fill_table(request)
    print(json.dumps(filled.as_mapping(), indent=1) if args.json else table_text(filled))
    return 0


def _print(report: dict[str, Any], args: argparse.Namespace) -> None:
    for source in report["data"]["sources"]:
        for line in source.get("lost", []):
            print(f"dfd: {source['unit']}: {line}", file=sys.stderr)
    if args.json:
        print(json.dumps({key: value for key, value in report.items() if key != "per_frame"}, indent=1))
        return
    from dfd_perception.evaluation.summary import summary_text

    print(summary_text(report))
    print(f"  report      {args.out / 'report.json'}\n              {args.out / 'report.html'}")


class _Bar:
    """A progress bar on stderr; its total may grow while workers open their bags."""

    def __init__(self, quiet: bool, text: str = "evaluating") -> None:
        from tqdm import tqdm

        self._bar = tqdm(desc=text, unit="frame", disable=quiet or not sys.stderr.isatty())

    def __enter__(self) -> _Bar:
        return self

    def __call__(self, done: int, total: int) -> None:
        self._bar.total = total
        self._bar.update(done - self._bar.n)

    def __exit__(self, *_: object) -> None:
        self._bar.close()
