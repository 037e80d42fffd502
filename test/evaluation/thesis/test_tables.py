# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""The thesis' tables on miniatures in the published layouts: rows, cross-training, missing data, contradictions."""

from __future__ import annotations

import json
import shutil

import cv2
import numpy as np
import pytest

from dfd_perception.cli.__main__ import main
from dfd_perception.errors import ConfigError
from dfd_perception.evaluation.thesis.tables import TableRequest, fill_table, table_text
from dfd_perception.evaluation.thesis.thesis_tables import TABLES
from dfd_perception.files.configuration import read_yaml, write_yaml
from dfd_perception.inference.estimator import EstimatorOptions

ESTIMATOR = EstimatorOptions(backend="onnxruntime", num_threads=1)


def image(rng, size=(48, 64)):
    return cv2.resize(rng.integers(0, 256, (12, 16, 3), np.uint8), size[::-1])


def write_nyu(folder, count=3):
    h5py = pytest.importorskip("h5py")
    from scipy.io import savemat

    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    with h5py.File(folder / "nyu_depth_v2_labeled.mat", "w") as file:
        file["images"] = np.stack([image(rng).transpose(2, 1, 0) for _ in range(count)])
        file["depths"] = rng.uniform(1, 5, (count, 64, 48)).astype(np.float32)
    savemat(folder / "splits.mat", {"trainNdxs": np.array([[1]]), "testNdxs": np.arange(2, count + 1)[:, None]})


def write_idfd(root, variant, places=80):
    rng = np.random.default_rng(1)
    for part in ("Out_Of_Focus", "All_In_Focus", "Depth"):
        (root / "Data" / "Raw" / variant / part).mkdir(parents=True)
    for i in range(places):
        raw = root / "Data" / "Raw" / variant
        aif = image(rng)
        cv2.imwrite(str(raw / "All_In_Focus" / f"Place{i}_0.jpg"), aif)
        cv2.imwrite(str(raw / "Out_Of_Focus" / f"Place{i}_0.jpg"), cv2.GaussianBlur(aif, (0, 0), 2))
        cv2.imwrite(str(raw / "Depth" / f"Place{i}_0.png"), rng.integers(700, 3800, (48, 64)).astype(np.uint16))


def write_parts(folder, **parts):
    for part, images in parts.items():
        (folder / part).mkdir(parents=True)
        for i, made in enumerate(images):
            cv2.imwrite(str(folder / part / f"s{i}.png"), made)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    write_nyu(folder / "nyu-depth-v2")
    write_idfd(folder / "idfd", "inpainting")
    rng = np.random.default_rng(2)
    images = [image(rng) for _ in range(2)]
    maps = [rng.integers(0, 60, (48, 64)).astype(np.uint8) for _ in range(2)]
    write_parts(folder / "rtf", blurred=images, sharp=images, gt=maps)
    write_parts(folder / "syndof", image=images, blur_map=maps)
    return folder


def rows_of(table):
    return {row.label: row for row in table.rows}


def test_within_and_across_data_sets(root, tiny_depth_model):
    request = TableRequest(
        number="4.2", root=root, models=(f"nyu={tiny_depth_model}",), estimator=ESTIMATOR, edges=False
    )
    rows = rows_of(fill_table(request))
    assert rows["NYU / NYU"].frames == 2
    across = rows["NYU / iDFD"]
    assert across.frames > 2
    assert all(value is not None for value in across.ours.values())
    assert across.ours["depth.abs_rel"] != rows["NYU / NYU"].ours["depth.abs_rel"]
    assert rows["iDFD / iDFD (in-painted depth)"].reason == "no model given; --model idfd=MODEL"
    missing = rows["iDFD / iDFD (raw depth)"].reason
    assert "https://github.com/saqibnaziir/iDFD" in missing
    assert "Data/Raw/without_inpainting" in missing


def test_the_figures_are_the_mean_of_images_at_256(root, tiny_depth_model, tmp_path):
    request = TableRequest(number="4.3", root=root, models=(str(tiny_depth_model),), out=tmp_path, estimator=ESTIMATOR)
    row = rows_of(fill_table(request))["NYU, trained on NYU"]
    report = json.loads((tmp_path / "table_4.3_nyu_nyu-depth-v2" / "report.json").read_text())
    assert report["protocol"]["resolution"] == [256, 256]
    per_image = [frame["deblurred"]["psnr_db"] for frame in report["per_frame"]]
    assert row.ours["deblurred.psnr_db"] == pytest.approx(np.mean(per_image))
    assert report["data"]["sources"][0]["split"] == "test"


def test_chapter_two_feeds_sharp_images(root, tiny_depth_model, tmp_path):
    request = TableRequest(
        number="2.1", root=root, models=(f"xian={tiny_depth_model}",), out=tmp_path, estimator=ESTIMATOR
    )
    rows = rows_of(fill_table(request))
    assert rows["Xian"].ours["depth.kld"] > 0
    report = json.loads((tmp_path / "table_2.1_xian_nyu-depth-v2" / "report.json").read_text())
    assert report["deblurred"]["input_psnr_db"] is None  # the input is the all-in-focus image
    assert [row.label for row in TABLES["2.1"].rows if row.figures["depth.rmse_m"] == 0.559] == ["Xian"]


def test_a_regulariser_without_a_model_of_its_own_stays_a_dash(root, tiny_depth_model):
    for models in ((str(tiny_depth_model),), (f"none={tiny_depth_model}", f"hu={tiny_depth_model}")):
        table = fill_table(TableRequest(number="2.1", root=root, models=models, estimator=ESTIMATOR, edges=False))
        assert all(row.ours is None for row in table.rows)
        assert "of its own: rows of this table differ in training alone; --model hu=MODEL" in table_text(table)


def with_card(model, folder, **changes):
    shutil.copytree(model, folder)
    write_yaml(folder / "model.yaml", read_yaml(folder / "model.yaml") | changes)
    return folder


def test_the_images_of_a_row_are_those_that_the_model_was_trained_for(root, tiny_depth_model, tmp_path):
    lens = {"focal_length_mm": 35, "f_number": 1.4, "focus_distance_m": 0.6, "pixel_pitch_um": 56.25}
    trained = with_card(tiny_depth_model, tmp_path / "trained", protocol={"lens": lens, "crop_px": [256, 256]})
    request = {"number": "3.1", "root": root, "estimator": ESTIMATOR, "edges": False}
    row = rows_of(fill_table(TableRequest(models=(str(trained),), out=tmp_path / "a", **request)))["2HDED:NET"]
    assert row.notes == ()
    assert row.protocol["point_spread"] == "a disk, sigma 0.25 c"
    report = json.loads((tmp_path / "a" / "table_3.1_nyu_nyu-depth-v2" / "report.json").read_text())
    assert report["protocol"]["resolution"] is None
    other = tmp_path / "lens.yaml"
    write_yaml(other, lens | {"f_number": 2.0})
    asked = TableRequest(models=(str(trained),), lens=other, protocol="thesis-256", **request)
    (note,) = rows_of(fill_table(asked))["2HDED:NET"].notes
    assert "f_number 2.0 instead of 1.4" in note
    assert "squeezed to 256 x 256 instead of native scale" in note
    unknown = fill_table(TableRequest(models=(str(tiny_depth_model),), **request))
    assert "does not say how its training images were made; here a Gaussian, sigma 0.3 c" in table_text(unknown)


def test_defocus_maps_and_deblurring(root, tiny_coc_model):
    request = TableRequest(number="5.1", root=root, models=(str(tiny_coc_model),), estimator=ESTIMATOR)
    rows = rows_of(fill_table(request))
    syndof, rtf = rows["2HDED:NET, SYNDOF"].ours, rows["2HDED:NET, RTF (trained on DFD)"].ours
    assert syndof["defocus.mae"] > 0
    assert syndof["deblurred.psnr_db"] is None
    assert rtf["defocus.mae"] is None
    assert rtf["deblurred.psnr_db"] > 0


@pytest.mark.parametrize("number", sorted(TABLES))
def test_every_table_prints_without_any_data(tmp_path, number, capsys):
    assert main(["evaluate", "--table", number, "--data", str(tmp_path)]) == 0
    text = capsys.readouterr().out
    for row in TABLES[number].rows:
        assert row.label in text
        for value in row.figures.values():
            assert format(value, ".4g") in text
    assert "No protocol is printed" in text
    assert "expected " in text


def test_the_contradictions_are_named(tmp_path):
    text = table_text(fill_table(TableRequest(number="3.1", root=tmp_path)))
    assert "Table 4.2 prints AbsRel 0.266" in text


def test_a_key_that_the_table_does_not_have(tmp_path):
    with pytest.raises(ConfigError, match="its keys are nyu"):
        fill_table(TableRequest(number="3.1", root=tmp_path, models=("kitti=x",)))
