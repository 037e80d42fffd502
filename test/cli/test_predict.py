"""`dfd predict` on real images with a tiny network."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from dfd_perception.cli.__main__ import main

pytest.importorskip("onnxruntime", reason="no onnxruntime in this environment")

LENS = "focal_length_mm: 35\nf_number: 1.4\nfocus_distance_m: 0.6\npixel_pitch_um: 56.25\n"


@pytest.fixture
def images(tmp_path):
    for name in ("one.png", "two.jpg"):
        cv2.imwrite(str(tmp_path / name), np.random.default_rng(0).integers(0, 256, (50, 70, 3), np.uint8))
    (tmp_path / "lens.yaml").write_text(LENS)
    return tmp_path


def predict(folder, *arguments, model):
    images = [str(folder / "one.png"), str(folder / "two.jpg")]
    where = ["--model", str(model), "--out", str(folder / "out"), "--backend", "onnxruntime"]
    return main(["predict", *images, *where, *arguments])


def test_a_blur_meter_with_a_lens_writes_all_four(images, tiny_coc_model, capsys):
    assert predict(images, "--lens", str(images / "lens.yaml"), "--json", model=tiny_coc_model) == 0
    said = json.loads(capsys.readouterr().out)
    written = {p.name for p in (images / "out").iterdir()}
    assert written == {
        f"{stem}_{kind}.png" for stem in ("one", "two") for kind in ("depth", "depth_color", "deblurred", "defocus")
    }
    depth = cv2.imread(str(images / "out" / "one_depth.png"), cv2.IMREAD_UNCHANGED)
    assert (depth.dtype, depth.shape) == (np.uint16, (50, 70))
    assert np.median(depth) / 1000 == pytest.approx(said["pictures"][0]["median_depth_m"], abs=1e-3)
    defocus = cv2.imread(str(images / "out" / "one_defocus.png"), cv2.IMREAD_UNCHANGED)
    # The lens: K = fx * 25 mm = 16.5 px per dioptre; depth and blur must agree through it.
    fx = 35 * 600 / (600 - 35) / 0.05625
    coc_px = np.median(defocus) / 100
    assert 1 / (1 / 0.6 - coc_px / (fx * 0.025)) == pytest.approx(np.median(depth) / 1000, rel=5e-3)
    assert cv2.imread(str(images / "out" / "one_depth_color.png")).shape == (50 + 48, 70, 3)


def test_without_a_lens_it_says_why_there_is_no_depth(images, tiny_coc_model, capsys):
    assert predict(images, model=tiny_coc_model) == 0
    assert "give its lens with --lens" in capsys.readouterr().err
    assert {p.name for p in (images / "out").glob("one_*")} == {"one_deblurred.png", "one_defocus.png"}


def test_fx_stands_for_the_pixel_pitch(images, tiny_coc_model):
    (images / "lens.yaml").write_text("aperture_diameter_mm: 25\nfocus_distance_m: 0.6\n")
    assert predict(images, "--lens", str(images / "lens.yaml"), model=tiny_coc_model) == 2
    assert predict(images, "--lens", str(images / "lens.yaml"), "--fx", "660", model=tiny_coc_model) == 0


def test_a_depth_model_needs_no_lens(images, tiny_depth_model):
    assert predict(images, model=tiny_depth_model) == 0
    assert (images / "out" / "two_depth.png").is_file()


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda folder: (folder / "one.png").write_bytes(b"no image"), "one.png: cannot be read as an image"),
        (lambda folder: (folder / "one.png").unlink(), "one.png: no such image"),
        (lambda folder: (folder / "two.jpg").rename(folder / "one.jpg"), "no such image"),
    ],
)
def test_bad_images_are_one_line_and_exit_code_2(images, tiny_depth_model, capsys, spoil, says):
    spoil(images)
    assert predict(images, model=tiny_depth_model) == 2
    error = capsys.readouterr().err
    assert says in error
    assert "Traceback" not in error


def test_two_images_of_one_stem_are_refused(images, tiny_depth_model, capsys):
    arguments = ["predict", str(images / "one.png"), str(images / "sub" / "one.jpg")]
    assert main([*arguments, "--model", str(tiny_depth_model), "--out", str(images / "out")]) == 2
    assert "would write the same files" in capsys.readouterr().err
