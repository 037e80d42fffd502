# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from dfd_perception.cli.__main__ import main
from dfd_perception.datasets.registry import open_dataset

LENS = "focal_length_mm: 35\nf_number: 1.4\nfocus_distance_m: 0.6\npixel_pitch_um: 56.25\n"


@pytest.fixture
def rgbd(tmp_path: Path) -> Path:
    folder = tmp_path / "rgbd"
    for index in range(2):
        (folder / f"s{index}").mkdir(parents=True)
        image = np.random.default_rng(index).integers(0, 255, (30, 40, 3), np.uint8)
        cv2.imwrite(str(folder / f"s{index}" / "rgb.png"), image)
        cv2.imwrite(str(folder / f"s{index}" / "depth.png"), np.full((30, 40), 700 + 300 * index, np.uint16))
    (tmp_path / "lens.yaml").write_text(LENS)
    return folder


def _run(rgbd: Path, out: str, *more: str) -> int:
    lens = str(rgbd.parent / "lens.yaml")
    return main(["synthesize", str(rgbd), "--lens", lens, "--out", str(rgbd.parent / out), *more])


def test_a_data_set_that_opens_with_the_blur_of_the_lens(rgbd: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(rgbd, "set", "--json") == 0
    assert json.loads(capsys.readouterr().out)["gain_px_per_dioptre"] == pytest.approx(16.52, abs=0.01)
    dataset = open_dataset(rgbd.parent / "set")
    assert len(dataset) == 2
    sample = dataset[1]
    assert float(sample.coc_target_px()[3, 3]) == pytest.approx(16.52 * (1 / 0.6 - 1), abs=0.01)
    assert (sample.defocused != sample.aif).any()
    np.testing.assert_allclose(sample.depth_m, 1.0)
    content = yaml.safe_load((rgbd.parent / "set" / "dataset.yaml").read_text())
    assert content["depth_range_m"] == [0.7, 1.0]
    assert "linear light" in content["provenance"]["blur"]


@pytest.mark.parametrize("own_fx", [None, 500.0])
def test_the_focal_length_that_was_given_stays_with_the_set(rgbd: Path, own_fx: float | None) -> None:
    (rgbd.parent / "lens.yaml").write_text("aperture_diameter_mm: 25\nfocus_distance_m: 0.6\n")
    if own_fx is not None:
        (rgbd / "meta.json").write_text(json.dumps({"fx": own_fx, "fy": own_fx, "cx": 19.5, "cy": 14.5}))
    assert _run(rgbd, "set", "--fx", "660") == 0
    sample = open_dataset(rgbd.parent / "set")[1]
    assert float(sample.coc_target_px()[3, 3]) == pytest.approx(16.5 * (1 / 0.6 - 1), abs=0.01)


def test_the_same_call_gives_the_same_files(rgbd: Path) -> None:
    for out, seed in (("a", "5"), ("b", "5"), ("c", "6")):
        assert _run(rgbd, out, "--full-well", "3000", "--seed", seed, "--psf", "gaussian", "--split", "val") == 0
    images = [(rgbd.parent / out / "defocused" / "s1.png").read_bytes() for out in "abc"]
    assert images[0] == images[1]
    assert images[0] != images[2]


@pytest.mark.parametrize(
    ("option", "words"),
    [
        (("--full-well", "nan"), "full well is nan electrons"),
        (("--full-well", "-1"), "full well is -1.0 electrons"),
        (("--read-noise", "nan"), "read noise is nan"),
        (("--read-noise", "2"), "read noise is 2.0; expected 0 to 1"),
        (("--seed", "-1"), "seed is -1; expected 0 or more"),
    ],
)
def test_numbers_that_cannot_be_are_refused_and_leave_nothing(
    rgbd: Path, capsys: pytest.CaptureFixture[str], option: tuple[str, str], words: str
) -> None:
    assert _run(rgbd, "set", *option) == 2
    assert words in capsys.readouterr().err
    assert not (rgbd.parent / "set").exists()


def test_a_description_that_is_nested_without_end_is_refused(rgbd: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (rgbd / "s0" / "meta.json").write_text("[" * 100_000)
    assert _run(rgbd, "set") == 2
    assert "meta.json: depth_unit_m must be metres per count" in capsys.readouterr().err


@pytest.mark.parametrize("fault", ["lens", "out", "depth", "pitch"])
def test_bad_use_ends_with_one_line_and_exit_2(rgbd: Path, capsys: pytest.CaptureFixture[str], fault: str) -> None:
    expected = {"lens": "unknown key", "out": "not empty", "depth": "8 bits", "pitch": "add pixel_pitch_um"}[fault]
    if fault == "lens":
        (rgbd.parent / "lens.yaml").write_text(LENS + "zoom: 3\n")
    elif fault == "out":
        (rgbd.parent / "set").mkdir()
        (rgbd.parent / "set" / "something").write_text("")
    elif fault == "depth":
        cv2.imwrite(str(rgbd / "s0" / "depth.png"), np.full((30, 40), 9, np.uint8))
    else:
        (rgbd.parent / "lens.yaml").write_text("focal_length_mm: 35\nf_number: 1.4\nfocus_distance_m: 0.6\n")
    assert _run(rgbd, "set") == 2
    error = capsys.readouterr().err.strip()
    assert expected in error
    assert "\n" not in error


def test_doctor_describes_a_data_set_and_its_problems(rgbd: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(rgbd, "set") == 0
    capsys.readouterr()
    assert main(["doctor", "--data", str(rgbd.parent / "set")]) == 0
    assert "folder, 2 frames" in capsys.readouterr().out
    cv2.imwrite(str(rgbd.parent / "set" / "depth" / "s0.png"), np.zeros((30, 40), np.uint16))
    assert main(["doctor", "--data", str(rgbd.parent / "set"), "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert report["splits"] == {"train": 1, "val": 1}
    assert "no valid depth" in report["problems"][0]
    assert main(["doctor", "--data", str(rgbd.parent)]) == 2
    assert "no known data set layout" in capsys.readouterr().err
