# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Measure a model on bags or on a data set; writes report.json and report.html.

A bag is read directly, without ROS: mcap or sqlite3, compressed or not, one file or split. Images are paired with
depth and all-in-focus topics by stamp; with depth only, or with neither, the report holds what can be said. The
same command goes on where an earlier one stopped. --live plays the bag to a running node and measures its answers.
Under torchrun (RANK, WORLD_SIZE) every process takes its share, and the last writes the report; without it,
--share 0/2 on one machine and --share 1/2 on another do the same, with an OUT that both see.

Exit code 1: the true depth of a bag was empty throughout, so that no depth was scored; 2: bad use or input.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from typing import Any

from dfd_perception.cli.evaluate_options import add_all, estimator_options_of, plan_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `dfd evaluate`."""
    add_all(parser)


def run(args: argparse.Namespace) -> int:
    """Evaluate and print where the report is."""
    from dfd_perception.errors import ConfigError

    if args.table:
        return _run_table(args)
    if args.suite or args.chart:
        return _run_suite(args)
    if args.out is None:
        raise ConfigError("--out is missing; expected a folder for report.json and report.html")
    _require_one_model(args)
    if args.live:
        return _run_live(args)
    from dfd_perception.evaluation.run import begin_anew, evaluate, evaluate_share
    from dfd_perception.evaluation.shares import checked_share, share_from_environment

    share = checked_share(args.share) if args.share else share_from_environment()
    plan = plan_of(args)
    if args.overwrite:
        if share is not None:
            raise ConfigError("--overwrite with shares would remove what another share writes; empty OUT first")
        plan.require_inputs()
        begin_anew(args.out)
    with _Bar(args.json) as progress:
        report = evaluate_share(plan, share, progress) if share else evaluate(plan, args.workers, progress)
    if report is None:
        assert share is not None
        print(f"share {share[0]} of {share[1]} done; the last one writes the report", file=sys.stderr)
        return 0
    return _print(report, args)


def _require_one_model(args: argparse.Namespace) -> None:
    from dfd_perception.errors import ConfigError

    if len(args.model) != 1 or "=" in args.model[0]:
        raise ConfigError(f"--model is {' '.join(args.model) or 'missing'}; expected one model by name or path")


def _run_live(args: argparse.Namespace) -> int:
    from dfd_perception.errors import ConfigError
    from dfd_perception.evaluation.run import begin_anew, evaluate_answers
    from dfd_perception.ros.tools.evaluation_session import LiveRequest, play_and_collect

    if len(args.bag) != 1:
        raise ConfigError(f"--live takes one bag, got {len(args.bag)}")
    plan = plan_of(args)
    if (args.out / "report.json").exists() and not args.overwrite:
        raise ConfigError(f"{args.out} holds a report, and playing cannot go on; --overwrite begins anew")
    plan.require_inputs()
    request = LiveRequest(
        bag=args.bag[0],
        options=plan.bag_options,
        answers=args.out / "results_live",
        node=args.node,
        rate=args.rate,
        wait_s=args.wait,
    )
    begin_anew(args.out)
    with _Bar(args.json, "playing") as progress:
        played = play_and_collect(request, progress)
    with _Bar(args.json, "scoring") as progress:
        report = evaluate_answers(plan, request.answers, played, progress)
    return _print(report, args)


def _run_table(args: argparse.Namespace) -> int:
    from dfd_perception.errors import ConfigError
    from dfd_perception.evaluation.thesis.tables import TableRequest, fill_table, table_text

    if args.data is None:
        raise ConfigError("--data is missing; expected the folder that holds the data sets of the table")
    request = TableRequest(
        number=args.table,
        root=args.data,
        models=tuple(args.model),
        lens=args.lens,
        out=args.out,
        estimator=estimator_options_of(args),
        protocol=None if args.protocol == "native" else args.protocol,
        edges=args.edges is not False,
        max_frames=args.max_frames,
    )
    filled = fill_table(request)
    print(json.dumps(asdict(filled), indent=1) if args.json else table_text(filled))
    return 0


def _run_suite(args: argparse.Namespace) -> int:
    from pathlib import Path

    from dfd_perception.errors import ConfigError
    from dfd_perception.evaluation.suite.suite_file import Suite, read_suite
    from dfd_perception.evaluation.suite.suite_run import run_suite
    from dfd_perception.evaluation.suite.summary_page import summary_text

    if args.out is None:
        raise ConfigError("--out is missing; expected a folder for summary.json and summary.html")
    _require_one_model(args)
    suite = read_suite(args.suite) if args.suite else Suite(chart=True)
    if args.chart and not suite.chart:
        suite = Suite(sources=suite.sources, chart=True)
    beside = args.suite.parent if args.suite else Path()
    with _Bar(args.json) as bar:
        summary = run_suite(
            suite,
            args.model[0],
            args.data or Path(),
            beside,
            args.out,
            estimator_options_of(args),
            args.every,
            lambda name, done, total: bar.show(name, done, total),
            args.overwrite,
        )
    print(json.dumps(summary, indent=1) if args.json else summary_text(summary))
    if not args.json:
        print(f"  report      {args.out / 'summary.json'}\n              {args.out / 'summary.html'}")
    return 0


def _print(report: dict[str, Any], args: argparse.Namespace) -> int:
    """Print the report; exit code 1 where a source's true depth was empty throughout."""
    empty = any(source.get("empty_depth") == source.get("pictures", 0) for source in report["data"]["sources"])
    for source in report["data"]["sources"]:
        for line in source.get("lost", []):
            print(f"dfd: {source['unit']}: {line}", file=sys.stderr)
    if args.json:
        print(json.dumps({key: value for key, value in report.items() if key != "per_frame"}, indent=1))
        return 1 if empty else 0
    from dfd_perception.evaluation.report.summary import summary_text

    print(summary_text(report))
    print(f"  report      {args.out / 'report.json'}\n              {args.out / 'report.html'}")
    return 1 if empty else 0


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

    def show(self, text: str, done: int, total: int) -> None:
        """The same, of one part of several."""
        self._bar.set_description(text, refresh=False)
        self(done, total)

    def __exit__(self, *_: object) -> None:
        self._bar.close()
