# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Evaluation of aperture pairs from files to the report, by a meter that reads what was made."""

import cv2
import jsonschema
import numpy as np
import pytest

from dfd_perception.cli.__main__ import main
from dfd_perception.core.lens import LensDescription
from dfd_perception.core.point_spread import DISK
from dfd_perception.core.sensor import encoded_from_linear, uint8_from_encoded
from dfd_perception.datasets.registry import open_dataset
from dfd_perception.errors import ConfigError, DatasetError
from dfd_perception.evaluation.preparation import fitted_floor
from dfd_perception.evaluation.report.meter_sections import response_cards
from dfd_perception.evaluation.report.report_json import read_report, schema
from dfd_perception.evaluation.scoring import bins
from dfd_perception.evaluation.scoring.blur_pooling import PooledBlur
from dfd_perception.evaluation.scoring.rows import FrameRow
from dfd_perception.evaluation.sources.dataset_source import DatasetSource, FrameFilter
from dfd_perception.evaluation.sources.frame import MeasuredPair
from dfd_perception.evaluation.sources.pair_source import PairSource

SIZE = (120, 160)
WIDE_PX = (3.0, 6.0, 3.0, 6.0)
"""Disk between the two apertures, by pair."""

YAML = """format: 1
name: pairs
lens: {focus_distance_m: 1.0, focal_length_mm: 35, f_number: 2.8, pixel_pitch_um: 56.25}
aif_f_number: 8
counts: {defocused: 4, aif: 4}
"""


def textured(seed):
    rng = np.random.default_rng(seed)
    layers = [cv2.resize(rng.random((SIZE[0] // n, SIZE[1] // n, 3), np.float32), SIZE[::-1]) for n in (2, 5, 15)]
    return np.clip(0.3 * sum(layers), 0.01, 0.9).astype(np.float32)


def stored(path, light):
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), uint8_from_encoded(encoded_from_linear(light))[..., ::-1])


@pytest.fixture
def pairs(tmp_path):
    """A session of aperture pairs: no depth, shifted by 2 px between the apertures."""
    folder = tmp_path / "pairs"
    warp = np.float32([[1, 0, 2.0], [0, 1, -1.0]])
    for i, disk_px in enumerate(WIDE_PX):
        narrow = textured(i)
        wide = cv2.filter2D(narrow, -1, DISK.kernel(disk_px), borderType=cv2.BORDER_REFLECT)
        stored(folder / "defocused" / f"p{i}.png", wide)
        stored(folder / "aif" / f"p{i}.png", cv2.warpAffine(narrow, warp, SIZE[::-1], flags=cv2.INTER_LANCZOS4,
                                                            borderMode=cv2.BORDER_REFLECT))  # fmt: skip
    (folder / "dataset.yaml").write_text(YAML)
    return folder


def source_of(folder):
    dataset = open_dataset(folder)
    return PairSource(DatasetSource(dataset, folder), dataset.aperture_ratio)


def evaluated(folder, model, out):
    """The report of `dfd evaluate`, which keeps to its schema."""
    code = main(["evaluate", "--model", str(model), "--data", str(folder), "--out", str(out),
                 "--backend", "onnxruntime", "--threads", "1"])  # fmt: skip
    assert code == 0
    report = read_report(out)
    jsonschema.validate(report, schema())
    return report


def test_a_session_says_its_aperture_ratio(pairs):
    assert open_dataset(pairs).aperture_ratio == pytest.approx(0.35)


def test_a_smaller_f_number_of_the_sharp_image_is_refused(pairs):
    (pairs / "dataset.yaml").write_text(YAML.replace("aif_f_number: 8", "aif_f_number: 2"))

    with pytest.raises(DatasetError, match="expected a smaller aperture"):
        open_dataset(pairs)


@pytest.mark.parametrize("number", ["0", "-8", ".nan", "900"])
def test_an_f_number_of_the_sharp_image_that_cannot_be_is_refused(pairs, number):
    (pairs / "dataset.yaml").write_text(YAML.replace("aif_f_number: 8", f"aif_f_number: {number}"))
    with pytest.raises(DatasetError, match="f_number is .*; expected 0.5 to 128"):
        open_dataset(pairs)


def test_the_blur_of_the_lens_is_that_of_the_disk_and_of_the_small_aperture():
    pair = MeasuredPair(
        row=np.array([0]), column=np.array([0]), disk_px=np.array([4.0]), aperture_ratio=0.35,
        valid=np.ones((1, 1), bool),
    )  # fmt: skip

    assert pair.lens_px**2 - pair.small_px**2 == pytest.approx(16.0)
    assert pair.small_px / pair.lens_px == pytest.approx(0.35)


def test_pairs_are_aligned_and_their_disk_measured(pairs):
    source = source_of(pairs)
    frames = list(source.frames())

    assert [np.median(frame.pair.disk_px) for frame in frames] == pytest.approx(WIDE_PX, abs=0.4)
    assert source.description()["aperture_pairs"]["median_shift_px"] == pytest.approx(np.hypot(2, 1), abs=0.3)


def test_a_pair_of_two_scenes_and_one_without_texture_are_left_out_and_named(pairs):
    stored(pairs / "aif/p1.png", textured(77))
    plain = np.full((*SIZE, 3), 0.4, np.float32)
    stored(pairs / "aif/p2.png", plain)
    stored(pairs / "defocused/p2.png", plain)
    source = source_of(pairs)

    assert [frame.name for frame in source.frames()] == ["p0", "p3"]
    lost = source.description()["lost"]
    assert any("p1" in line and "one scene" in line for line in lost)
    assert any("p2" in line and "without texture" in line for line in lost)


def test_the_report_holds_the_response(pairs, tiny_coc_model, tmp_path):
    report = evaluated(pairs, tiny_coc_model, tmp_path / "out")

    section = report["aperture_pairs"]
    assert section["pairs"] == 4
    # 3 to 6 px between the apertures are 3.2 to 6.4 px of the wide one.
    by_bin = {row["from_px"]: row["true_px"] for row in section["response"]}
    assert by_bin[2.5] == pytest.approx(3.2, abs=0.3)
    assert by_bin[5.5] == pytest.approx(6.4, abs=0.4)
    assert {row["by_depth"] for row in section["response"]} == {None}  # there is no depth
    assert section["against_depth"] is None
    assert "Aperture pairs" in (tmp_path / "out/report.html").read_text()


def test_the_response_stands_beside_what_lens_and_true_depth_say(pairs, tiny_coc_model, tmp_path):
    # All depths are those of 3.2 px: right for pairs of 3 px, half of the blur for those of 6 px (6.4 px).
    lens = LensDescription(focus_distance_m=1.0, focal_length_mm=35, f_number=2.8, pixel_pitch_um=56.25)
    depth_m = 1 / (1 - 3.2 / lens.curve().gain_px_per_dioptre)
    for i in range(4):
        path = pairs / "depth" / f"p{i}.png"
        path.parent.mkdir(exist_ok=True)
        assert cv2.imwrite(str(path), np.full(SIZE, round(depth_m * 1e3), np.uint16))
    (pairs / "dataset.yaml").write_text(YAML.replace("aif: 4}", "aif: 4, depth: 4}"))

    report = evaluated(pairs, tiny_coc_model, tmp_path / "out")

    by_depth = {row["from_px"]: row["by_depth"] for row in report["aperture_pairs"]["response"]}
    assert by_depth[2.5] == pytest.approx(1.0, abs=0.1)
    assert by_depth[5.5] == pytest.approx(0.5, abs=0.05)
    assert "By depth: what lens and true depth score" in (tmp_path / "out/report.html").read_text()


def test_the_reading_is_held_against_lens_and_true_depth_as_well():
    """No measured disk enters: windows are sorted by what depth says, which errs by nothing that the images show."""
    disk = np.repeat([3.0, 6.0], 50)
    truth = np.hypot(disk, 1.0)
    by_depth = np.concatenate([truth[:50] - 0.4, np.full(25, 5.0), np.full(25, np.nan)])
    reading = np.concatenate([by_depth[:50] + 0.1, np.full(50, 4.5)])
    row = FrameRow(variant="model", unit="u", index=0, name="p", stamp_ns=None)
    row.windows = bins.encoded_sample(np.stack([disk, truth, reading, np.ones(100), by_depth], axis=1))
    row.plaid = [1.0, 1.0, 1.0]
    pooled = PooledBlur()
    pooled.add(row)

    against = pooled.aperture_pairs()["against_depth"]

    assert against["windows"] == 75
    assert against["mae_px"] == pytest.approx((50 * 0.1 + 25 * 0.5) / 75, rel=1e-3)
    assert against["disk_mae_px"] == pytest.approx((50 * 0.4 + 25 * (np.hypot(6, 1) - 5)) / 75, rel=1e-3)
    small, wide = against["response"]
    assert (small["from_px"], wide["from_px"]) == (2.5, 4.5)
    assert small["response"] == pytest.approx((truth[0] - 0.3) / (truth[0] - 0.4), rel=1e-3)
    assert wide["response"] == pytest.approx(0.9, rel=1e-3)
    assert wide["disk"] == pytest.approx(np.hypot(6, 1) / 5, rel=1e-3)
    page = response_cards(pooled.aperture_pairs())
    assert "Against lens and true depth" in page


class Reader:
    """An estimator's place: reads the floor that it was given, on anything sharp."""

    def __init__(self, floor_px):
        self._floor_px = floor_px

    def predict(self, image, curve, heads):
        from dfd_perception.core.prediction import Prediction

        reading = np.full(image.shape[:2], self._floor_px, np.float32)
        return Prediction(coc_px=reading, coc_std_px=np.ones_like(reading))


def test_the_floor_of_pairs_leaves_the_blur_of_the_small_aperture_out(pairs):
    # The small aperture has 0.35 / sqrt(1 - 0.35^2) of the disk left: 1.1 and 2.2 px; all images read 3 px here.
    floor = fitted_floor(source_of(pairs), Reader(3.0), lambda frame: frame, 4)

    by_even, by_odd = (np.sqrt(9 - (0.3736 * disk_px) ** 2) for disk_px in (3.0, 6.0))
    # Crosswise: each half is scored with the other's.
    assert floor.of_px(0) == pytest.approx(by_odd, abs=0.15)
    assert floor.of_px(1) == pytest.approx(by_even, abs=0.15)
    assert floor.frames == 4


def test_one_frame_is_no_two_halves(pairs):
    assert fitted_floor(source_of(pairs), Reader(1.0), lambda frame: frame, 1) is None


def test_frames_are_chosen_by_name_and_place(pairs):
    dataset = open_dataset(pairs)

    assert FrameFilter(without="p[12]").applied(dataset).names == ["p0", "p3"]
    assert FrameFilter(only="p?", every=3).applied(dataset).names == ["p0", "p3"]
    with pytest.raises(DatasetError, match="no frame is called q"):
        FrameFilter(only="q*").applied(dataset)
    with pytest.raises(ConfigError, match="every is 0"):
        FrameFilter(every=0)
