# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""A suite of small data sets through the command line."""

import json

import cv2
import numpy as np
import pytest

from dfd_perception.cli.__main__ import main
from dfd_perception.evaluation.blur_chart import measure

LENS = "aperture_diameter_mm: 25\nfocus_distance_m: 0.5\n"
SUITE = """sources:
  - {name: near things, data: rgbd, only: "near*", lens: lens.yaml, fx_px: 600}
  - {name: far things, data: rgbd, without: "near*", lens: lens.yaml, fx_px: 600, clamp: true, max_depth_m: 4}
  - {name: not here, data: elsewhere}
"""


@pytest.fixture
def data(tmp_path):
    rng = np.random.default_rng(0)
    for name, depth_mm in (("near1", 700), ("near2", 800), ("far1", 2000), ("far2", 3000)):
        frame = tmp_path / "data/rgbd" / name
        frame.mkdir(parents=True)
        assert cv2.imwrite(str(frame / "rgb.png"), cv2.resize(rng.integers(0, 255, (24, 32, 3), np.uint8), (64, 48)))
        assert cv2.imwrite(str(frame / "depth.png"), np.full((48, 64), depth_mm, np.uint16))
    (tmp_path / "lens.yaml").write_text(LENS)
    (tmp_path / "suite.yaml").write_text(SUITE)
    return tmp_path / "data"


@pytest.fixture
def arguments(data, tiny_coc_model, tmp_path):
    return ["evaluate", "--model", str(tiny_coc_model), "--data", str(data), "--out", str(tmp_path / "out"),
            "--suite", str(tmp_path / "suite.yaml"), "--backend", "onnxruntime", "--threads", "1"]  # fmt: skip


def test_one_row_a_source_and_a_line_for_the_one_that_is_not_there(arguments, tmp_path, capsys):
    assert main(arguments) == 0

    summary = json.loads((tmp_path / "out/summary.json").read_text())
    near, far, absent = summary["sources"]
    assert near["frames"] == far["frames"] == 2
    assert far["coverage"] == 1.0
    assert "no such data set" in absent["problem"]
    assert near["abs_rel_constant"] == pytest.approx(50 / 750, abs=0.02)
    printed = capsys.readouterr().out
    assert "near things" in printed
    assert "not here:" in printed
    page = (tmp_path / "out/summary.html").read_text()
    assert 'href="near_things/report.html"' in page
    assert (tmp_path / "out/near_things/report.html").is_file()


def test_figures_of_another_model_or_suite_are_not_taken_for_this_ones(arguments, tmp_path, capsys):
    assert main(arguments) == 0
    first = json.loads((tmp_path / "out/summary.json").read_text())["sources"]
    assert main(arguments) == 0
    assert json.loads((tmp_path / "out/summary.json").read_text())["sources"][0] == first[0]
    (tmp_path / "lens.yaml").write_text(LENS.replace("25", "12"))
    capsys.readouterr()

    assert main(arguments) == 2
    said = capsys.readouterr().err
    assert "holds another evaluation" in said
    assert "--overwrite" in said
    assert main([*arguments, "--overwrite"]) == 0
    again = json.loads((tmp_path / "out/summary.json").read_text())["sources"]
    assert again[0]["abs_rel"] != first[0]["abs_rel"]


def test_a_suite_that_measures_nothing_is_refused(arguments, tmp_path, capsys):
    (tmp_path / "suite.yaml").write_text("sources: [{name: a, data: elsewhere}]\n")

    assert main(arguments) == 2
    assert "no source of the suite could be measured: a:" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("sources: [{name: a, data: x}, {name: a, data: y}]\n", "two sources are called 'a'"),
        ("chart: false\n", "measures nothing"),
        ("sources: [{name: a, data: x, lense: y}]\n", "lense"),
    ],
)
def test_a_wrong_suite_gets_one_line(arguments, tmp_path, capsys, text, said):
    (tmp_path / "suite.yaml").write_text(text)

    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_the_chart_is_one_command(tiny_coc_model, tmp_path, capsys, monkeypatch):
    # Two planes in place of seventy: the network is real, the chart is short.
    monkeypatch.setattr(measure.measure_chart, "__defaults__", (measure.SETTINGS[:1], (4.0, 18.0), None))
    monkeypatch.setattr(measure, "SEEDS", 1)

    assert main(["evaluate", "--model", str(tiny_coc_model), "--chart", "--out", str(tmp_path / "out"),
                 "--backend", "onnxruntime", "--threads", "1"]) == 0  # fmt: skip

    column = json.loads((tmp_path / "out/summary.json").read_text())["blur_chart"]["columns"][0]
    assert [row["coc_px"] for row in column["rows"]] == [4.0, 18.0]
    assert "blur chart" in capsys.readouterr().out
    assert "Blur chart" in (tmp_path / "out/summary.html").read_text()
