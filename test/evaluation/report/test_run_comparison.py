# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Paired differences, intervals that know of neighbours, and bounds that fail a build."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import numpy as np
import pytest

from dfd_perception.cli.__main__ import main
from dfd_perception.evaluation.report.report_json import read_report, write_report
from dfd_perception.evaluation.report.run_comparison import confidence_interval, differences
from dfd_perception.evaluation.run import evaluate


def report_of(abs_rel, delta1=None, unit="bag"):
    values = abs_rel if delta1 is None else delta1
    frames = [
        {"unit": unit, "index": i, "name": str(i), "answered": True, "depth": {"abs_rel": a, "delta1": d}}
        for i, (a, d) in enumerate(zip(abs_rel, values, strict=True))
    ]
    mean = {"abs_rel": float(np.mean(abs_rel)), "delta1": float(np.mean(values))}
    return {"format": 1, "per_frame": frames, "depth": mean, "timing": {"stages": {"total": {"p95_ms": 40.0}}}}


@pytest.fixture
def two_reports(tmp_path):
    rng = np.random.default_rng(0)
    before = rng.uniform(0.1, 0.3, 200)
    paths = []
    for name, values in (("before", before), ("after", before + 0.01 + rng.normal(0, 0.005, 200))):
        paths.append(tmp_path / f"{name}.json")
        write_report(paths[-1], report_of(values.tolist(), (1 - values).tolist()))
    return [str(path) for path in paths]


def test_a_small_but_steady_change_is_seen_through_the_spread_of_the_frames(two_reports, capsys):
    assert main(["compare", *two_reports, "--json"]) == 0
    found = {d["metric"]: d for d in json.loads(capsys.readouterr().out)["compared"][0]["differences"]}
    worse = found["depth.abs_rel"]
    assert worse["difference"] == pytest.approx(0.01, abs=0.002)
    assert 0.008 < worse["low"] < worse["difference"] < worse["high"] < 0.012
    assert worse["verdict"] == "worse"
    assert found["depth.delta1"]["verdict"] == "worse"  # less of it


def test_two_frames_are_too_few_for_a_verdict(tmp_path, capsys):
    paths = []
    for name, values in (("before", [0.20, 0.21]), ("after", [0.10, 0.11])):
        paths.append(str(tmp_path / f"{name}.json"))
        write_report(Path(paths[-1]), report_of(values))
    assert main(["compare", *paths]) == 0
    text = capsys.readouterr().out
    assert "2 frames in common" in text
    assert "too few frames for a verdict" in text
    assert "better" not in text
    assert main(["compare", *paths, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["compared"][0]["differences"][0]
    assert found["verdict"] == "too few frames"
    assert found["low"] is None
    assert found["difference"] == pytest.approx(-0.1)


def test_the_interval_of_correlated_frames_is_wider():
    rng = np.random.default_rng(1)
    independent = rng.normal(0, 1, 400)
    steps = np.repeat(rng.normal(0, 1, 40), 10)
    width = [high - low for low, high in map(confidence_interval, (independent, steps))]
    assert width[0] == pytest.approx(2 * 1.96 / 20, rel=0.2)
    assert width[1] > 1.8 * width[0]
    assert confidence_interval(independent) == confidence_interval(independent)


def test_the_interval_holds_in_about_95_of_100_cases():
    rng = np.random.default_rng(2)
    inside = [low <= 0 <= high for low, high in (confidence_interval(rng.normal(0, 1, 100)) for _ in range(200))]
    assert 0.88 < np.mean(inside) < 0.99


@pytest.mark.parametrize(
    ("bounds", "code", "said"),
    [
        (["--max", "depth.abs_rel=0.5", "--min", "depth.delta1=0.5"], 0, ""),
        (["--max", "depth.abs_rel=0.1"], 1, "the bound is at most 0.1"),
        (["--min", "depth.delta1=0.9"], 1, "the bound is at least 0.9"),
        (["--max-worse", "depth.abs_rel=0.02"], 0, ""),
        (["--max-worse", "depth.abs_rel=0.005"], 1, "worse by 0.0"),
        (["--max-worse", "depth.delta1=0.005"], 1, "allowed is 0.005"),
        (["--max", "timing.stages.total.p95_ms=30"], 1, "is 40, the bound is at most 30"),
        (["--max", "depth.nothing=1"], 2, "at 'nothing' there is abs_rel, delta1"),
        (["--max", "depth.abs_rel"], 2, "expected SECTION.NAME=NUMBER"),
    ],
)
def test_bounds_are_a_gate(two_reports, capsys, bounds, code, said):
    assert main(["compare", *two_reports, *bounds]) == code
    assert said in capsys.readouterr().err


def test_reports_without_a_common_frame_are_refused():
    with pytest.raises(Exception, match="no frame in common") as caught:
        differences(report_of([0.1]), report_of([0.1], unit="other"), "a and b")
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "no report"),
        ("{", "expected a report"),
        ("[]", "not a report"),
        ('{"format": 9, "per_frame": []}', "format 9"),
    ],
)
def test_a_file_that_is_no_report(tmp_path, two_reports, capsys, content, said):
    path = tmp_path / "other.json"
    if content is not None:
        path.write_text(content)
    assert main(["compare", two_reports[0], str(path)]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_one_report_needs_a_bound(two_reports, capsys):
    assert main(["compare", two_reports[0]]) == 2
    assert main(["compare", two_reports[0], "--max", "depth.abs_rel=0.5"]) == 0


def test_a_board_at_a_known_distance_as_a_robot_s_own_check(make_bag, plan_for, tmp_path, capsys):
    from dfd_perception.evaluation.sources.bag_options import BagOptions

    plan = plan_for(make_bag(depth=None, aif=False), bag_options=BagOptions(board_distance_m=1.2, max_frames=4))
    error_m = evaluate(plan)["depth"]["mae_m"]
    assert main(["compare", str(plan.out), "--max", f"depth.mae_m={error_m + 0.01}"]) == 0
    assert main(["compare", str(plan.out), "--max", f"depth.mae_m={error_m - 0.01}"]) == 1


def test_the_same_report_differs_by_nothing(two_reports):
    report = read_report(Path(two_reports[0]))
    for found in differences(report, copy.deepcopy(report), "a and a"):
        assert (found.difference, found.verdict) == (0.0, "same")
