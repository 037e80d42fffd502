# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""What nobody measured is no truth: masks of depth and of all-in-focus images, from the folder to loss and metric."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from dfd_perception.core.lens import LensDescription
from dfd_perception.datasets.augmentation import Augmentation
from dfd_perception.datasets.depth_units import DepthUnit, depth_unit_lines, unit_lines_of
from dfd_perception.datasets.folder import DatasetDescription, open_folder, write_dataset_yaml
from dfd_perception.datasets.rgbd import DefocusedRgbd, RgbdFolder
from dfd_perception.errors import DatasetError
from dfd_perception.files.images import read_depth_m, read_rgb, write_png

SIZE = (40, 60)
LENS = LensDescription(focal_length_mm=16.0, f_number=1.4, focus_distance_m=0.6, pixel_pitch_um=20.0)


def write_folder(folder, **description) -> np.ndarray:
    """Two frames whose left half was seen and whose upper half was measured; returns the defocused image."""
    rng = np.random.default_rng(0)
    defocused = rng.integers(0, 256, (*SIZE, 3), np.uint8)
    aif = 255 - defocused
    aif[:, 30:] = defocused[:, 30:]
    seen, measured = np.zeros(SIZE, np.uint8), np.zeros(SIZE, np.uint8)
    seen[:, :30], measured[:20] = 255, 255
    depth = np.full(SIZE, 1500, np.uint16)
    for stem in ("a", "b"):
        for part, image in (("defocused", defocused), ("aif", aif), ("depth", depth), ("seen", seen),
                            ("measured", measured)):  # fmt: skip
            write_png(folder / part / f"{stem}.png", image)
    write_dataset_yaml(folder, DatasetDescription(name="set", lens=LENS, **description))
    return defocused


def test_depth_that_was_filled_in_is_no_depth(tmp_path):
    write_folder(tmp_path)
    sample = open_folder(tmp_path)[0]
    assert np.isfinite(sample.depth_m[:20]).all()
    assert np.isnan(sample.depth_m[20:]).all()
    target = sample.coc_target_px()
    assert np.isfinite(target[:20]).all()
    assert np.isnan(target[20:]).all()


def test_the_mask_of_the_aif_is_cut_and_mirrored_with_it(tmp_path):
    write_folder(tmp_path)
    sample = open_folder(tmp_path)[0]
    assert sample.seen[:, :30].all()
    assert not sample.seen[:, 30:].any()
    changed = Augmentation(crop_px=(20, 40), flip_x=1.0)(sample, np.random.default_rng(1))
    different = (changed.aif != changed.defocused).any(2)
    assert changed.seen.shape == (20, 40)
    assert np.array_equal(changed.seen, different)


def test_a_mask_that_lacks_a_frame_is_named(tmp_path):
    write_folder(tmp_path)
    (tmp_path / "seen" / "b.png").unlink()
    with pytest.raises(DatasetError, match="seen lacks b"):
        open_folder(tmp_path)


def test_no_loss_looks_where_nothing_was_seen(tmp_path):
    torch = pytest.importorskip("torch", reason="no torch in this environment")
    from dfd_perception.network.two_headed import TwoHeadedOutput
    from dfd_perception.training.config_sections import ObjectiveConfig
    from dfd_perception.training.loader import collate, tensors_of
    from dfd_perception.training.objectives import create_objective

    write_folder(tmp_path)
    sample = open_folder(tmp_path)[0]
    for mode, target in (
        ("supervised", "coc"),
        ("supervised", "depth"),
        ("deblur_only", "coc"),
        ("self_supervised", "coc"),
    ):
        objective = create_objective(ObjectiveConfig(mode=mode, deblur_weight=1.0), target)
        batch = collate([tensors_of(sample, objective.parts)] * 2)
        aif = torch.rand(2, 3, *SIZE, requires_grad=True)
        coc = torch.full((2, 1, *SIZE), 2.0, requires_grad=True)
        said = TwoHeadedOutput(depth_m=coc, coc_px=coc, coc_log_var=coc * 0.1, deblurred=aif)
        objective(said, batch).total.backward()
        gradient = aif.grad.abs().sum((0, 1))
        assert gradient[:, 30:].max() == 0, (mode, target)
        assert gradient[:, :30].min() > 0, (mode, target)
        if mode == "supervised":
            assert coc.grad[..., 20:, :].abs().max() == 0, (mode, target)


def test_re_blurring_that_mixes_in_what_was_not_seen_does_not_count():
    torch = pytest.importorskip("torch", reason="no torch in this environment")
    from dfd_perception.losses.defocus import self_supervised_loss

    seen = torch.zeros(1, 1, 40, 60, dtype=torch.bool)
    seen[..., :30] = True
    reblurred = torch.rand(1, 3, 40, 60, requires_grad=True)
    image = torch.rand(1, 3, 40, 60)
    coc = torch.rand(1, 1, 40, 60)
    loss = self_supervised_loss(reblurred, image, coc, image, image, seen=seen, reach_px=6)
    loss.total.backward()
    columns = reblurred.grad.abs().sum((0, 1, 2))
    assert columns[24:].max() == 0
    assert columns[:24].min() > 0


def test_evaluation_counts_what_was_seen_and_measured(tmp_path):
    from dfd_perception.core.prediction import Prediction
    from dfd_perception.evaluation.scoring.frame_scoring import score_frame
    from dfd_perception.evaluation.scoring.protocol import Protocol
    from dfd_perception.evaluation.sources.dataset_source import DatasetSource

    defocused = write_folder(tmp_path, depth_unit_m=1e-3)
    frame = next(iter(DatasetSource(open_folder(tmp_path), tmp_path).frames()))
    prediction = Prediction(
        depth_m=np.where(np.arange(40)[:, None] < 20, 1.5, 9.0).astype(np.float32).repeat(60, 1),
        deblurred=np.where(np.arange(60)[None, :, None] < 30, frame.aif, 0).astype(np.uint8),
    )
    row = score_frame(frame, prediction, Protocol(edges=False))
    assert row.depth["rmse_m"] < 1e-6
    assert row.truth_pixels == 20 * 60
    assert row.deblurred["psnr_db"] == float("inf")
    assert row.image_pixels == 40 * 30
    # At another resolution a pixel counts when all that it was made of does.
    small = Protocol(resolution=(20, 25)).applied(frame)
    assert small.seen[:, :12].all()
    assert not small.seen[:, 12:].any()
    assert defocused.shape == (*SIZE, 3)


def test_filled_in_depth_blurs_and_is_no_truth(tmp_path):
    rng = np.random.default_rng(1)
    depth = np.full(SIZE, 1500, np.uint16)
    measured = np.full(SIZE, 255, np.uint8)
    measured[10:20, 10:20] = 0
    write_png(tmp_path / "rgb" / "a.png", rng.integers(0, 256, (*SIZE, 3), np.uint8))
    write_png(tmp_path / "depth" / "a.png", depth)
    whole = DefocusedRgbd(RgbdFolder(tmp_path), LENS.resolved().curve)[0]
    write_png(tmp_path / "measured" / "a.png", measured)
    sample = DefocusedRgbd(RgbdFolder(tmp_path), LENS.resolved().curve)[0]
    assert np.array_equal(sample.defocused, whole.defocused)
    hole = measured == 0
    assert np.isnan(sample.depth_m[hole]).all()
    assert np.isnan(sample.coc_px[hole]).all()
    assert np.isfinite(sample.depth_m[~hole]).all()


@pytest.mark.parametrize(("unit", "counts"), [(None, 1500), (1 / 5000, 7500), (1 / 256, 384)])
def test_depth_has_the_unit_that_the_folder_states(tmp_path, unit, counts):
    write_folder(tmp_path, depth_unit_m=unit)
    for stem in ("a", "b"):
        write_png(tmp_path / "depth" / f"{stem}.png", np.full(SIZE, counts, np.uint16))
    dataset = open_folder(tmp_path)
    assert np.nanmax(dataset[0].depth_m) == pytest.approx(1.5, rel=1e-6)
    assert dataset.depth_unit.stated == (unit is not None)
    # Whoever opens it may know better.
    assert np.nanmax(open_folder(tmp_path, 1e-4)[0].depth_m) == pytest.approx(counts * 1e-4, rel=1e-6)


def test_a_factor_is_seen_in_a_table_of_medians():
    lines = depth_unit_lines(DepthUnit(), [np.full(SIZE, 6.0, np.float32)], "--depth-unit")
    assert lines[0].startswith("depth has no stated unit; taken as mm: median 6 m")
    assert "tum 1.2 m, kitti 23.4 m, m 6000 m" in lines[1]
    assert depth_unit_lines(DepthUnit(stated=True), [np.full(SIZE, 6.0, np.float32)], "--depth-unit") == []


def test_float_depth_is_metres(tmp_path):
    depth = np.full(SIZE, 1.25, np.float32)
    depth[0, :4] = (0, np.inf, 1e10, -1)
    np.save(tmp_path / "d.npy", depth)
    cv2.imwrite(str(tmp_path / "d.tiff"), depth)
    np.save(tmp_path / "other_order.npy", depth.astype(">f4"))
    np.save(tmp_path / "counts.npy", np.full(SIZE, 6250, ">u2"))
    assert (read_depth_m(tmp_path / "counts.npy", SIZE, 1 / 5000) == 1.25).all()
    for name in ("d.npy", "d.tiff", "other_order.npy"):
        read = read_depth_m(tmp_path / name, SIZE, 1 / 5000)
        assert np.isnan(read[0, :4]).all()
        assert (read[1:] == 1.25).all()


def test_images_of_every_ordinary_kind_and_broken_ones(tmp_path):
    rgb = cv2.GaussianBlur(np.random.default_rng(3).integers(0, 256, (48, 64, 3), np.uint8), (0, 0), 3)
    bgr = rgb[..., ::-1]
    cv2.imwrite(str(tmp_path / "16.png"), bgr.astype(np.uint16) * 257)
    cv2.imwrite(str(tmp_path / "12.png"), (bgr.astype(np.uint16) << 4) | 15)
    for name in ("16.png", "12.png"):
        assert np.abs(read_rgb(tmp_path / name).astype(int) - rgb).max() <= 1
    packed = cv2.imencode(".jpg", bgr)[1].tobytes()
    (tmp_path / "half.jpg").write_bytes(packed[: len(packed) // 2])
    with pytest.raises(DatasetError, match=r"half\.jpg: JPEG is cut short"):
        read_rgb(tmp_path / "half.jpg")
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0"
    (tmp_path / "turned.jpg").write_bytes(
        packed[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + packed[2:]
    )
    assert read_rgb(tmp_path / "turned.jpg").shape == (64, 48, 3)
    with pytest.raises(DatasetError, match="stored turned .Exif orientation 6.*write it upright"):
        read_rgb(tmp_path / "turned.jpg", beside_map=True)
    with pytest.raises(DatasetError, match=r"none\.png: cannot be read .nothing is there"):
        read_rgb(tmp_path / "none.png")


@pytest.mark.parametrize(("unit", "says"), [(None, []), (1.0, []), (1 / 5000, ["the unit stated (tum) is not used"])])
def test_a_unit_of_counts_says_nothing_of_float_depth(tmp_path, unit, says):
    write_folder(tmp_path, depth_unit_m=unit)
    for stem in ("a", "b"):
        (tmp_path / "depth" / f"{stem}.png").unlink()
        np.save(tmp_path / "depth" / f"{stem}.npy", np.full(SIZE, 1.25, np.float32))
    dataset = open_folder(tmp_path)
    assert np.nanmax(dataset[0].depth_m) == 1.25
    lines = unit_lines_of(dataset, "--depth-unit")
    assert len(lines) == len(says)
    assert all(words in line for words, line in zip(says, lines, strict=True))
