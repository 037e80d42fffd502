# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""The Python entry, as a program uses it: a tiny network, arrays and files of every ordinary kind."""

from __future__ import annotations

import os
import subprocess
import sys

import cv2
import numpy as np
import pytest

import dfd_perception as dfd
from dfd_perception.core.image_header import LARGEST_IMAGE_PX
from dfd_perception.errors import ConfigError, ImageError, LensError, ModelError, UsageError

pytest.importorskip("onnxruntime", reason="no onnxruntime in this environment")

NUMBERS = {"focal_length_mm": 35, "f_number": 1.4, "focus_distance_m": 0.6, "pixel_pitch_um": 56.25}
FX_PX = 35 * 600 / (600 - 35) / 0.05625


@pytest.fixture
def image():
    return np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)


@pytest.fixture
def meter(tiny_coc_model):
    with dfd.load(tiny_coc_model, lens=NUMBERS, backend="onnxruntime") as loaded:
        yield loaded


def test_importing_the_package_imports_nothing_heavy():
    code = (
        "import sys, dfd_perception as dfd; assert 'load' in dir(dfd); "
        "heavy = {'numpy', 'cv2', 'torch', 'onnxruntime', 'rclpy'} & set(sys.modules); print(heavy or 'none')"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert result.stdout.strip() == "none", result.stdout + result.stderr


def test_a_name_that_is_not_there_lists_those_that_are():
    with pytest.raises(AttributeError, match="public are .*load"):
        dfd.estimate  # noqa: B018


def test_maps_have_the_size_of_the_image_and_agree_through_the_lens(meter, image):
    result = meter(image)
    for values in (result.depth_m, result.std_m, result.blur_px, result.blur_std_px):
        assert values.shape == (48, 64)
        assert values.dtype == np.float32
    assert result.deblurred.shape == (48, 64, 3)
    assert result.fx_px == pytest.approx(FX_PX)
    valid = np.isfinite(result.depth_m)
    np.testing.assert_allclose(result.curve.coc_px(result.depth_m[valid]), result.blur_px[valid], rtol=1e-3)


def test_points_lie_on_the_rays_of_their_pixels(meter, image):
    result = meter(image)
    points, colours = result.points(), result.point_colours()
    rows, columns = np.nonzero(np.isfinite(result.depth_m))
    assert points.shape == (rows.size, 3)
    assert points.shape == colours.shape
    np.testing.assert_allclose(points[:, 2], result.depth_m[rows, columns])
    np.testing.assert_allclose(points[:, 0] / points[:, 2] * FX_PX + 31.5, columns, atol=1e-3)
    np.testing.assert_allclose(points[:, 1] / points[:, 2] * FX_PX + 23.5, rows, atol=1e-3)
    np.testing.assert_array_equal(colours, result.deblurred[rows, columns])


@pytest.mark.parametrize(
    "changed",
    [
        lambda rgb: rgb.astype(np.float32) / 255,
        lambda rgb: rgb.astype(np.uint16) * 257,
        lambda rgb: np.dstack([rgb, np.full(rgb.shape[:2], 255, np.uint8)]),
        lambda rgb: np.asfortranarray(rgb),
    ],
)
def test_arrays_of_every_kind_are_the_same_image(meter, image, changed):
    np.testing.assert_array_equal(meter(changed(image)).blur_px, meter(image).blur_px)


def test_files_bgr_and_grey(meter, image, tmp_path):
    expected = meter(image).blur_px
    np.testing.assert_array_equal(meter(image[..., ::-1], colour_order="bgr").blur_px, expected)
    cv2.imwrite(str(tmp_path / "image.png"), image[..., ::-1])
    np.testing.assert_array_equal(meter(tmp_path / "image.png").blur_px, expected)
    np.testing.assert_array_equal(meter(str(tmp_path / "image.png")).blur_px, expected)
    grey = np.ascontiguousarray(image[..., 0])
    np.testing.assert_array_equal(meter(grey).blur_px, meter(np.repeat(grey[..., None], 3, axis=2)).blur_px)


@pytest.mark.parametrize(
    ("spoilt", "says"),
    [
        (np.full((8, 8, 3), 200.0, np.float32), "floats from 200 to 200; expected 0 to 1"),
        (np.zeros((8, 8, 2), np.uint8), r"shape \(8, 8, 2\)"),
        (np.zeros((0, 8, 3), np.uint8), r"shape \(0, 8, 3\)"),
        (np.zeros((8, 8, 3), np.int64), "int64; expected uint8"),
        ([1, 2, 3], "of type list; expected a file name or a numpy array"),
        ("no_such.jpg", "no_such.jpg: no such image"),
    ],
)
def test_what_is_no_image_is_refused_in_words(meter, spoilt, says):
    with pytest.raises(ImageError, match=says):
        meter(spoilt)


def test_opencv_is_given_the_bound_that_everything_else_has():
    program = "import os, dfd_perception; print(os.environ['OPENCV_IO_MAX_IMAGE_PIXELS'])"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OPENCV_")}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert int(done.stdout) == LARGEST_IMAGE_PX


def test_a_tiff_that_asks_for_too_much_is_refused_before_it_is_decoded(tiny_coc_model, tmp_path):
    assert cv2.imwrite(str(tmp_path / "bomb.tif"), np.zeros((9000, 9000), np.uint8), [cv2.IMWRITE_TIFF_COMPRESSION, 8])
    # OpenCV learns the bound when it is imported, hence a process of its own.
    program = f"import dfd_perception as dfd; dfd.load({str(tiny_coc_model)!r})({str(tmp_path / 'bomb.tif')!r})"
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120).stderr
    assert "ImageError" in said
    assert "bomb.tif: image has more than 67 million pixels, the most that is taken" in said


def test_a_lens_in_every_form_is_the_same_lens(tiny_coc_model, image, tmp_path):
    path = tmp_path / "lens.yaml"
    path.write_text("".join(f"{name}: {value}\n" for name, value in NUMBERS.items()))
    node = tmp_path / "node.yaml"
    node.write_text(f"/**:\n  ros__parameters:\n    lens: {NUMBERS}\n".replace("'", ""))
    numbers = {name: float(value) for name, value in NUMBERS.items()}
    forms = [
        path, str(node), NUMBERS, "35mm f/1.4 0.6m 56.25um", dfd.LensDescription(**numbers),
        dfd.DefocusCurve(gain_px_per_dioptre=FX_PX * 0.025, focus_distance_m=0.6),
    ]  # fmt: skip
    with dfd.load(tiny_coc_model, backend="onnxruntime") as meter:
        assert meter(image).depth_m is None
        medians = [float(np.nanmedian(meter(image, lens=lens).depth_m)) for lens in forms]
        medians.append(float(np.nanmedian(meter(image, lens=(25, 0.6), fx_px=FX_PX).depth_m)))
    assert medians == pytest.approx([medians[0]] * len(medians), rel=1e-5)


@pytest.mark.parametrize(
    ("lens", "error", "says"),
    [
        ((25, 0.6), LensError, "focal length in pixels is not known"),
        ({"focal_length_mm": 0.035, "f_number": 1.4, "focus_distance_m": 0.6}, LensError, "focal_length_mm is 0.035"),
        ({"focal": 35}, ConfigError, "unknown key focal"),
        (35.0, LensError, "expected a lens file"),
        (("a", "b"), LensError, "focus_distance_m is 'b'; expected a number"),
        ((25, None), LensError, "focus_distance_m is None"),
        ("35mm f/2.8 infinity 36um", LensError, "'infinity' says nothing of a lens"),
        ("35mm f/2.8 -1.7m 36um", LensError, "'-1.7m' says nothing of a lens"),
        ({**NUMBERS, "blur_floor_px": 500.0}, LensError, "blur_floor_px is 500; expected 0 to 100 px"),
        ("no_such.yaml", ConfigError, "no_such.yaml: no such lens file; expected a file, or words"),
    ],
)
def test_a_lens_that_cannot_be_is_refused_when_it_is_given(tiny_coc_model, lens, error, says):
    with pytest.raises(error, match=says):
        dfd.load(tiny_coc_model, lens=lens, backend="onnxruntime")


def test_other_wrong_uses_are_one_line_too(tiny_coc_model, meter, image):
    with pytest.raises(ModelError, match="no_such_model"):
        dfd.load("no_such_model")
    with pytest.raises(LensError, match=r"fx_px is '800'; expected a number"):
        meter(image, lens=(25, 0.6), fx_px="800")
    with pytest.raises(LensError, match=r"give it to dfd\.load"):
        dfd.Result(image_rgb=image).points()
    with pytest.raises(LensError, match="fx_px"):
        dfd.Result(image_rgb=image, depth_m=np.ones((48, 64), np.float32)).points()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"min_m": 3, "max_m": 2}, r"range of depth is \(3, 2\); expected .* the first smaller"),
        ({"min_m": "0"}, r"range of depth is \('0', inf\)"),
        ({"max_m": None}, r"range of depth is \(0.0, None\)"),
        ({"max_rel_std": -1}, "largest relative std is -1"),
        ({"max_rel_std": float("nan")}, "largest relative std is nan"),
        ({"backend": "foo"}, "backend is 'foo'; expected one of auto, tensorrt"),
        ({"precision": "fp8"}, "precision is 'fp8'; expected one of fp32"),
        ({"device": "gpu"}, "device is 'gpu'; expected auto, cpu, cuda or cuda:N"),
        ({"device": None}, "device is None"),
        ({"num_threads": -3}, "num_threads is -3"),
        ({"num_threads": "all"}, "num_threads is 'all'"),
        ({"input_size": (0, 0)}, r"input_size is \(0, 0\); expected \(height, width\)"),
        ({"input_size": "480x640"}, "input_size is '480x640'"),
        ({"input_size": (480.5, 640)}, r"input_size is \(480.5, 640\)"),
        ({"input_size": 480}, "input_size is 480"),
        ({"fx_px": float("nan")}, "fx_px is nan; expected"),
        ({"fx_px": -3.0}, "fx_px is -3; expected"),
        ({"heads": "aif"}, "heads is 'aif'; expected one of both, depth, deblurred"),
        ({"model": None}, "model is None; expected a name or a folder"),
    ],
)
def test_an_option_that_cannot_be_is_refused_before_anything_runs(tiny_coc_model, options, says):
    with pytest.raises(UsageError, match=says):
        dfd.load(**{"model": tiny_coc_model, "backend": "onnxruntime", **options})


def test_arrays_of_the_other_byte_order_are_the_same_image(meter, image):
    words = image.astype(np.uint16) * 257
    expected = meter(words, lens=(25, 0.6), fx_px=FX_PX).depth_m
    np.testing.assert_array_equal(meter(words.astype(">u2"), lens=(25, 0.6), fx_px=FX_PX).depth_m, expected)


def test_the_summary_counts_what_is_near_focus():
    blur_px = np.full((10, 10), 8.0, np.float32)
    blur_px[:3] = 2.2  # with a floor of 2 px, 0.9 px of the lens
    curve = dfd.DefocusCurve(gain_px_per_dioptre=16.5, focus_distance_m=0.6, blur_floor_px=2.0)
    depth_m = np.full((10, 10), 1.5, np.float32)
    depth_m[0] = np.nan
    image = np.zeros((10, 10, 3), np.uint8)
    figures = dfd.Result(image_rgb=image, depth_m=depth_m, blur_px=blur_px, curve=curve).summary()
    assert figures.near_focus_share == pytest.approx(0.3)
    assert figures.depth_share == pytest.approx(0.9)
    assert figures.median_depth_m == pytest.approx(1.5)
    assert "90 % with depth" in figures.line()
    assert "30 % near focus" in figures.line()
