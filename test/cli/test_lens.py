# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""`dfd lens`: what a lens can give, in words, figures and a plot."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from dfd_perception.cli.__main__ import main
from dfd_perception.core.lens_text import is_lens_text, lens_from_text
from dfd_perception.errors import LensError

BLUR, ACCURACY = slice(92, 395), slice(528, 787)
"""Rows of the two sets of axes in the plot."""


def test_the_table_is_that_of_the_equation(capsys):
    arguments = ["lens", "35mm", "f/1.4", "0.6m", "--pitch", "56.25um", "--at", "0.6", "1", "2", "--blur-std", "0.5"]
    assert main([*arguments, "--floor", "0", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    gain = said["gain_px_per_dioptre"]
    assert gain == pytest.approx(16.52, abs=0.01)
    focus, one, two = said["distances"]
    assert focus["note"] == "in focus: not resolved"
    assert one["lens_blur_px"] == pytest.approx(gain * (1 / 0.6 - 1), rel=1e-6)
    assert one["std_m"] == pytest.approx(0.5 / gain, rel=1e-6)
    assert two["std_m"] == pytest.approx(4 * 0.5 / gain, rel=1e-6)


def test_what_is_on_the_wrong_side_is_named_with_what_it_is_taken_for(capsys):
    assert main(["lens", "35mm", "f/1.4", "0.6m", "--pitch", "56.25", "--at", "0.5"]) == 0
    out = capsys.readouterr().out
    assert "wrong side: taken for 0.75 m" in out
    assert "the scene must lie beyond 0.60 m" in out
    assert "was trained for K" in out


def test_a_plot_is_written(tmp_path, capsys):
    out = tmp_path / "lens.png"
    assert main(["lens", "16mm", "f/1.4", "0.6m", "--pitch", "6.9um", "--out", str(out)]) == 0
    assert str(out) in capsys.readouterr().out
    plot = cv2.imread(str(out))
    assert plot.shape == (860, 840, 3)
    blue = (plot[..., 0].astype(int) - plot[..., 2]) > 150
    assert np.count_nonzero(blue[BLUR].any(0)) > 700  # the curve crosses its axes


def test_no_panel_is_empty_and_no_accuracy_beyond_the_distance_is_a_figure(tmp_path, capsys):
    out = tmp_path / "lens.png"
    lens = ["lens", "35mm", "f/2.8", "1.7m", "--pitch", "36um", "--blur-std", "4.2", "--floor", "2.5"]
    assert main([*lens, "--out", str(out)]) == 0
    rows = [line for line in capsys.readouterr().out.splitlines() if " px " in line and "#" in line]
    assert any("over +- 100%" in row for row in rows)
    assert not any("(190%)" in row for row in rows)
    lower = cv2.imread(str(out))[ACCURACY].astype(int)
    curve = (lower[..., 0] - lower[..., 2]) > 100  # of a meter that reads to 0.5 px: this lens would be of use
    assert np.count_nonzero(curve.any(0)) > 300


@pytest.mark.parametrize("lens", ["35mm f/1.4 0.6m 56.25um", "35mm f/2.8 1.7m 36um"])
def test_no_words_lie_over_the_curves(tmp_path, lens):
    out = tmp_path / "lens.png"
    assert main(["lens", *lens.split(), "--out", str(out)]) == 0
    lower = cv2.imread(str(out))[ACCURACY].astype(int)
    red_less_blue = lower[..., 2] - lower[..., 0]
    for inked in (red_less_blue < -60, red_less_blue > 100):  # the good meter's; the shipped model's
        columns = np.flatnonzero(inked.any(0))
        assert len(columns) > 150
        assert np.diff(columns).max() == 1


def test_a_file_and_fx_do_as_well(tmp_path, capsys):
    (tmp_path / "lens.yaml").write_text("aperture_diameter_mm: 25\nfocus_distance_m: 0.6\n")
    assert main(["lens", str(tmp_path / "lens.yaml"), "--fx", "660"]) == 0
    assert "K 16.5 px per dioptre" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["35mm", "f/2.8", "1.7m"], "--fx"),
        (["35mm", "f/2.8", "--pitch", "36um"], "the focus distance is missing"),
        (["35mm", "f/2.8", "1.7m", "blue", "--pitch", "36um"], "'blue' says nothing of a lens"),
        (["35mm", "50mm", "f/2.8", "1.7m", "--pitch", "36um"], "focal_length_mm is given twice"),
        (["35mm", "f/2.8", "1.7m", "--pitch", "thick"], "--pitch is 'thick'"),
        (["35mm", "f/0.1", "1.7m", "--pitch", "36um"], "f_number is 0.1"),
        (["no_such.yaml"], "no_such.yaml"),
        (["35mm", "f/2.8", "1.7m", "--pitch", "36um", "--at", "-1"], "must be positive"),
        (["35mm", "f/2.8", "1.7m", "--pitch", "36um", "--at", "1", "nan"], "--at nan: distances must be positive"),
        (["35mm", "f/2.8", "1.7m", "--pitch", "36um", "--out", "lens.pdf"], "written as .png"),
    ],
)
def test_a_wrong_lens_is_one_line_and_exit_code_2(arguments, says, capsys):
    assert main(["lens", *arguments]) == 2
    error = capsys.readouterr().err
    assert says in error
    assert "Traceback" not in error


def test_words_in_any_order_and_spacing():
    lens = lens_from_text("f2.8 170 cm 35 mm 36µm")
    assert (lens.focal_length_mm, lens.f_number, lens.focus_distance_m, lens.pixel_pitch_um) == (35, 2.8, 1.7, 36)
    assert is_lens_text("35mm f/2.8 1.7m")
    assert not is_lens_text("my lens.yaml")
    with pytest.raises(LensError, match="f_number"):
        lens_from_text("35mm 1.7m 36um")
