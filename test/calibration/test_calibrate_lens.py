# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""`dfd calibrate-lens` on rendered boards: by a meter that reads the truth, and by the shipped network."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from calibration.conftest import (
    BOARD_TEXT,
    DISTANCES_M,
    SESSION_DISTANCES_M,
    SESSION_FX_PX,
    SESSION_LENS,
    TRUE,
    board_image,
)
from dfd_perception.calibration.blur_readings import board_depth_m, floor_of_pair_px, readings_at
from dfd_perception.calibration.lens_fit import fit_lens
from dfd_perception.cli.__main__ import main
from dfd_perception.errors import CalibrationError, LensError
from dfd_perception.files.lens_file import read_lens
from support.rendered_rig import CHARUCO, ROBOT


def test_the_pose_of_a_board_is_its_distance_and_a_true_reading_gives_the_lens(board_folder: Path) -> None:
    readings = []
    for index, distance_m in enumerate(DISTANCES_M):
        depth_m = board_depth_m(board_image(distance_m, seed=index), CHARUCO, ROBOT)
        assert depth_m is not None
        assert np.nanmedian(depth_m) == pytest.approx(distance_m, rel=0.02)
        rng = np.random.default_rng(index)
        blur = (TRUE.coc_px(depth_m) + 0.3 * rng.standard_normal(depth_m.shape)).astype(np.float32)
        std = np.full(depth_m.shape, 0.3, np.float32)
        readings += readings_at(depth_m, blur, std, f"board {index}")
    fit = fit_lens(readings, typical_floor_px=2.5)
    assert fit.curve.gain_px_per_dioptre == pytest.approx(TRUE.gain_px_per_dioptre, rel=0.05)
    assert fit.curve.focus_distance_m == pytest.approx(TRUE.focus_distance_m, rel=0.03)
    assert fit.curve.blur_floor_px == pytest.approx(TRUE.blur_floor_px, abs=0.3)


def test_the_shipped_model_calibrates_a_lens_from_a_session_with_depth(
    session_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "lens.yaml"
    assert main(["calibrate-lens", str(session_folder), "--out", str(out), "--json", "--accept-poor"]) == 0
    figures = json.loads(capsys.readouterr().out)
    # The file is what the fit says, and K = fx x aperture.
    lens = read_lens(out)
    assert figures["fx_px"] == SESSION_FX_PX
    assert lens.curve(SESSION_FX_PX).gain_px_per_dioptre == pytest.approx(figures["gain_px_per_dioptre"], rel=1e-3)
    assert lens.blur_floor_px == pytest.approx(figures["blur_floor_px"], abs=1e-3)
    assert figures["distances"] == len(SESSION_DISTANCES_M)
    assert (tmp_path / "lens.png").is_file()
    # What this meter reads of this texture goes into the lens: the shipped weights are 39 % off in K here.
    assert figures["gain_px_per_dioptre"] == pytest.approx(SESSION_LENS.gain_px_per_dioptre, rel=0.45)
    assert figures["focus_distance_m"] == pytest.approx(SESSION_LENS.focus_distance_m, rel=0.45)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["{none}"], "no such file"),
        (["{images}"], "give --board, or a session with depth"),
        (["{images}", "--board", BOARD_TEXT], "focal length of the images is not known; give --camera FILE or --fx"),
        (["{images}", "--board", "charuco:4x4:0.05:0.037:DICT_7X7_50", "--fx", "610"], "is not seen in 6 images"),
        (["{images}", "--pair", "2.8", "8"], "--pair takes two images"),
    ],
)
def test_bad_input_is_one_line(
    arguments: list[str], says: str, board_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    places = {"{images}": str(board_folder), "{none}": str(tmp_path / "none")}
    out = tmp_path / "lens.yaml"
    assert main(["calibrate-lens", *(places.get(a, a) for a in arguments), "--out", str(out)]) == 2
    assert says in capsys.readouterr().err
    assert not out.exists()


def _pair(ratio: float, floor_px: float) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(2)
    image = np.repeat(rng.integers(0, 256, (12, 16, 1), np.uint8).repeat(20, 0).repeat(20, 1), 3, axis=2)
    coc = np.tile(np.linspace(1, 12, 320, dtype=np.float32), (240, 1))
    std = np.full(coc.shape, 0.4, np.float32)
    noise = 0.3 * rng.standard_normal((2, *coc.shape)).astype(np.float32)
    return [(image, np.hypot(part * coc, floor_px) + noise[i], std) for i, part in enumerate((1.0, ratio))]


def test_two_apertures_give_the_floor_without_distances() -> None:
    wide, narrow = _pair(2.8 / 8, 2.2)
    floor_px, std_px = floor_of_pair_px(wide, narrow, (2.8, 8.0))
    assert floor_px == pytest.approx(2.2, abs=0.25)
    assert 0 < std_px < 0.5


def test_pairs_that_are_none_are_refused() -> None:
    wide, narrow = _pair(2.8 / 8, 2.2)
    with pytest.raises(CalibrationError, match="expected the wide aperture first"):
        floor_of_pair_px(wide, narrow, (8.0, 2.8))
    for impossible in ((0.0, 0.0), (-2.8, -8.0), (2.8, float("nan"))):
        with pytest.raises(LensError, match="f_number is .*; expected 0.5 to 128"):
            floor_of_pair_px(wide, narrow, impossible)
    other = (np.ascontiguousarray(narrow[0][::-1, ::-1]), *narrow[1:])
    with pytest.raises(CalibrationError, match="do not show one scene"):
        floor_of_pair_px(wide, other, (2.8, 8.0))
    unsure = (narrow[0], narrow[1], np.full_like(narrow[2], 8.0))
    with pytest.raises(CalibrationError, match="is there texture"):
        floor_of_pair_px(wide, unsure, (2.8, 8.0))


def test_an_image_without_texture_is_named() -> None:
    flat = np.full((60, 80), 1.0, np.float32)
    with pytest.raises(CalibrationError, match="wall.png: the meter is not sure of any blur"):
        readings_at(flat, flat * 5, flat * 8, "wall.png")
