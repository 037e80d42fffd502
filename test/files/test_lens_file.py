# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from pathlib import Path

import pytest

from dfd_perception.errors import ConfigError, LensError
from dfd_perception.files.lens_file import read_lens


def _lens(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "lens.yaml"
    path.write_text(text)
    return path


def test_a_data_sheet_lens(tmp_path: Path) -> None:
    text = "focal_length_mm: 35\nf_number: 1.4\nfocus_distance_m: 0.6\npixel_pitch_um: 56.25\nside: near\n"
    curve = read_lens(_lens(tmp_path, text)).curve()
    assert curve.gain_px_per_dioptre == pytest.approx(16.52, abs=0.01)
    assert (curve.side, curve.focus_distance_m) == ("near", 0.6)


def test_an_aperture_and_a_calibrated_camera(tmp_path: Path) -> None:
    lens = read_lens(_lens(tmp_path, "aperture_diameter_mm: 25\nfocus_distance_m: 0.6\nblur_floor_px: 0.8\n"))
    assert lens.curve(fx_px=660.0).gain_px_per_dioptre == pytest.approx(16.5)
    assert lens.curve(fx_px=660.0).blur_floor_px == 0.8
    with pytest.raises(LensError, match="focal_length_mm and pixel_pitch_um"):
        lens.curve()


@pytest.mark.parametrize(
    ("text", "error", "word"),
    [
        ("focus_distance_m: 1\nf_number: 2\nfocal_length_mm: 8\nfocal: 3\n", ConfigError, "unknown key focal"),
        ("f_number: 2\nfocal_length_mm: 8\n", ConfigError, "focus_distance_m is missing"),
        ("focus_distance_m: 1\n", LensError, "exactly one"),
        ("focus_distance_m: 1\nf_number: 2\naperture_diameter_mm: 3\nfocal_length_mm: 8\n", LensError, "exactly one"),
        ("focus_distance_m: 1\nf_number: 2\n", LensError, "focal_length_mm"),
        ("focus_distance_m: near\nf_number: 2\nfocal_length_mm: 8\n", ConfigError, "focus_distance_m"),
        ("focus_distance_m: 1\nf_number: 2\nfocal_length_mm: 8\nside: left\n", ConfigError, "side"),
    ],
)
def test_a_wrong_file_is_one_line_that_names_it(tmp_path: Path, text: str, error: type[Exception], word: str) -> None:
    with pytest.raises(error, match=word) as caught:
        read_lens(_lens(tmp_path, text))
    assert "lens.yaml" in str(caught.value)
    assert "\n" not in str(caught.value)


ROS_NESTED = """
/**:
  ros__parameters:
    model: 2hded-small
    lens:
      focal_length_mm: 35.0
      f_number: 1.4
      aperture_diameter_mm: 0.0
      focus_distance_m: 0.6
      pixel_pitch_um: 56.25
      side: far
      blur_floor_px: -1.0
"""
ROS_DOTTED = """
dfd:
  ros__parameters: {lens.aperture_diameter_mm: 25.0, lens.focus_distance_m: 0.6, lens.blur_floor_px: 0.0}
"""


def test_the_parameters_of_the_node_are_read_as_well(tmp_path: Path) -> None:
    flat = "focal_length_mm: 35\nf_number: 1.4\nfocus_distance_m: 0.6\npixel_pitch_um: 56.25\n"
    assert read_lens(_lens(tmp_path, ROS_NESTED)) == read_lens(_lens(tmp_path, flat))
    dotted = read_lens(_lens(tmp_path, ROS_DOTTED))
    assert (dotted.aperture_diameter_mm, dotted.blur_floor_px, dotted.f_number) == (25.0, 0.0, None)
    with pytest.raises(ConfigError, match="without lens"):
        read_lens(_lens(tmp_path, "/**:\n  ros__parameters: {model: 2hded}\n"))
    with pytest.raises(ConfigError, match="unknown key focal"):
        read_lens(_lens(tmp_path, "/**:\n  ros__parameters: {lens: {focal: 3.0}}\n"))


def test_an_impossible_lens_is_refused(tmp_path: Path) -> None:
    text = "focal_length_mm: 35\nf_number: 0\nfocus_distance_m: 0.6\npixel_pitch_um: 5\n"
    with pytest.raises(LensError, match="lens.yaml: f_number"):
        read_lens(_lens(tmp_path, text))


@pytest.mark.parametrize("floor", ["-3.0", ".nan", "500.0"])
@pytest.mark.parametrize("form", ["flat", "node"])
def test_a_floor_that_cannot_be_is_refused_in_both_forms(tmp_path: Path, floor: str, form: str) -> None:
    """Of a node's parameters only -1 stands for "not given"."""
    keys = f"aperture_diameter_mm: 25.0, focus_distance_m: 0.6, blur_floor_px: {floor}"
    text = f"{{{keys}}}" if form == "flat" else f"/**: {{ros__parameters: {{lens: {{{keys}}}}}}}"
    with pytest.raises(LensError, match=r"lens.yaml: blur_floor_px is .*; expected 0 to 100 px"):
        read_lens(_lens(tmp_path, text))
