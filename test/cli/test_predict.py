# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""`dfd predict` on real images with a tiny network."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import cv2
import numpy as np
import pytest

from dfd_perception.cli.__main__ import main
from dfd_perception.media.capture import Video
from dfd_perception.media.result_video import VideoWriter

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


def test_the_shipped_model_is_what_runs_when_none_is_named(images, capsys):
    """`dfd view` and `dfd lens` took it already."""
    arguments = ["--lens", str(images / "lens.yaml"), "--out", str(images / "out"), "--backend", "onnxruntime"]
    assert main(["predict", str(images / "one.png"), *arguments]) == 0
    assert "one.png: depth" in capsys.readouterr().out
    assert (images / "out" / "one_sheet.png").is_file()


def test_a_blur_meter_with_a_lens_writes_all_four(images, tiny_coc_model, capsys):
    assert predict(images, "--lens", str(images / "lens.yaml"), "--json", model=tiny_coc_model) == 0
    said = json.loads(capsys.readouterr().out)
    written = {p.name for p in (images / "out").iterdir()}
    kinds = ("depth", "depth_color", "std", "std_color", "defocus", "defocus_color", "deblurred", "sheet")
    assert written == {f"{stem}_{kind}.png" for stem in ("one", "two") for kind in kinds}
    depth = cv2.imread(str(images / "out" / "one_depth.png"), cv2.IMREAD_UNCHANGED)
    assert (depth.dtype, depth.shape) == (np.uint16, (50, 70))
    assert np.median(depth) / 1000 == pytest.approx(said["images"][0]["median_depth_m"], abs=1e-3)
    defocus = cv2.imread(str(images / "out" / "one_defocus.png"), cv2.IMREAD_UNCHANGED)
    # The lens: K = fx * 25 mm = 16.5 px per dioptre; depth and blur must agree through it.
    fx = 35 * 600 / (600 - 35) / 0.05625
    coc_px = np.median(defocus) / 100
    assert 1 / (1 / 0.6 - coc_px / (fx * 0.025)) == pytest.approx(np.median(depth) / 1000, rel=5e-3)
    assert cv2.imread(str(images / "out" / "one_depth_color.png")).shape == (50 + 48, 70, 3)


@pytest.mark.parametrize("name", [b"not utf-8 \xff.png", b"code \x1b[31m.png", b"line\nbreak.png"])
def test_names_that_are_no_text_are_read_and_shown_in_one_plain_line(images, name, tiny_coc_model):
    # In a process of its own: OpenCV ended it.
    path = os.fsencode(images) + b"/" + name
    os.rename(images / "one.png", path)
    # No focal length gives depth here: the warning names the image as well.
    (images / "lens.yaml").write_text(LENS.replace("0.6", "0.5").replace("1.4", "100"))
    command = [sys.executable, "-m", "dfd_perception.cli", "predict", path, "--lens", str(images / "lens.yaml")]
    command += ["--model", str(tiny_coc_model), "--out", str(images / "out"), "--backend", "onnxruntime"]
    done = subprocess.run(command, capture_output=True, timeout=120, env={**os.environ, "PYTHONIOENCODING": "utf-8"})
    assert done.returncode in (0, 1), done.stderr[-500:]
    for said in (done.stdout, done.stderr):
        assert b"\x1b" not in said
    assert len(done.stdout.splitlines()) == 2
    assert len(list((images / "out").glob("*_sheet.png"))) == 1


def test_a_line_of_pixels_on_end_makes_a_sheet_of_ordinary_size(tmp_path, tiny_coc_model):
    cv2.imwrite(str(tmp_path / "line.png"), np.full((2000, 1, 3), 128, np.uint8))
    assert main(["predict", str(tmp_path / "line.png"), "--model", str(tiny_coc_model), "--out", str(tmp_path)]) == 0
    height, width, _ = cv2.imread(str(tmp_path / "line_sheet.png")).shape
    assert height * width < 4e6


def test_without_a_lens_it_says_why_there_is_no_depth(images, tiny_coc_model, capsys):
    assert predict(images, model=tiny_coc_model) == 0
    assert "give its lens with --lens" in capsys.readouterr().err
    assert {p.name for p in (images / "out").glob("one_*")} == {
        f"one_{kind}.png" for kind in ("deblurred", "defocus", "defocus_color", "sheet")
    }


def test_fx_stands_for_the_pixel_pitch(images, tiny_coc_model):
    (images / "lens.yaml").write_text("aperture_diameter_mm: 25\nfocus_distance_m: 0.6\n")
    assert predict(images, "--lens", str(images / "lens.yaml"), model=tiny_coc_model) == 2
    assert predict(images, "--lens", str(images / "lens.yaml"), "--fx", "660", model=tiny_coc_model) == 0


def test_a_note_is_printed_once(images, tiny_coc_model, caplog, capsys):
    (images / "lens.yaml").write_text("aperture_diameter_mm: 1\nfocus_distance_m: 0.6\n")
    predict(images, "--lens", str(images / "lens.yaml"), "--fx", "660", model=tiny_coc_model)
    notes = [line for line in capsys.readouterr().err.splitlines() if line.startswith("note: ")]
    assert notes
    assert len(set(notes)) == len(notes)
    assert not [record for record in caplog.records if f"note: {record.message}" in notes]


def test_a_depth_model_needs_no_lens(images, tiny_depth_model):
    assert predict(images, model=tiny_depth_model) == 0
    assert (images / "out" / "two_depth.png").is_file()


def test_the_lens_without_a_pitch_names_fx(images, tiny_coc_model, capsys):
    (images / "lens.yaml").write_text("aperture_diameter_mm: 25\nfocus_distance_m: 0.6\n")
    assert predict(images, "--lens", str(images / "lens.yaml"), model=tiny_coc_model) == 2
    error = capsys.readouterr().err
    assert "--fx" in error
    assert "pixel_pitch_um" in error
    assert not (images / "out").exists()


def test_one_line_for_each_image_says_what_came_of_it(images, tiny_coc_model, capsys):
    assert predict(images, "--lens", str(images / "lens.yaml"), model=tiny_coc_model) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert lines[0].startswith(f"{images / 'one.png'}: depth ")
    for words in ("median", "% with depth", "near focus"):
        assert words in lines[0]
    assert lines[2].startswith("2 images; results in")


def test_results_are_not_overwritten_in_silence(images, tiny_depth_model, capsys):
    assert predict(images, model=tiny_depth_model) == 0
    before = (images / "out" / "two_depth.png").stat().st_mtime_ns
    assert predict(images, model=tiny_depth_model) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert (images / "out" / "two_depth.png").stat().st_mtime_ns == before
    assert predict(images, "--overwrite", model=tiny_depth_model) == 0
    assert (images / "out" / "two_depth.png").stat().st_mtime_ns > before


def test_points_are_the_pixels_with_depth(images, tiny_coc_model):
    assert predict(images, "--lens", str(images / "lens.yaml"), "--ply", model=tiny_coc_model) == 0
    header, _, body = (images / "out" / "one_points.ply").read_bytes().partition(b"end_header\n")
    depth_mm = cv2.imread(str(images / "out" / "one_depth.png"), cv2.IMREAD_UNCHANGED)
    count = np.count_nonzero(depth_mm)
    assert f"element vertex {count}".encode() in header
    vertices = np.frombuffer(body, [("xyz", "<f4", 3), ("rgb", "u1", 3)])
    assert len(vertices) == count
    assert np.median(vertices["xyz"][:, 2]) == pytest.approx(np.median(depth_mm[depth_mm > 0]) / 1000, abs=1e-3)


def test_an_unknown_backend_is_bad_use_and_the_choice_is_named(images, tiny_coc_model, capsys):
    with pytest.raises(SystemExit) as end:
        predict(images, "--backend", "foo", model=tiny_coc_model)
    assert end.value.code == 2
    assert "openvino" in capsys.readouterr().err
    assert not (images / "out").exists()


def test_depth_outside_of_the_range_is_a_warning_and_exit_code_1(images, tiny_coc_model, capsys):
    arguments = ("--lens", str(images / "lens.yaml"), "--min-m", "9.998", "--max-m", "9.999")
    assert predict(images, *arguments, model=tiny_coc_model) == 1
    captured = capsys.readouterr()
    assert "no pixel of" in captured.err
    assert "no pixel has depth" in captured.out
    assert (images / "out" / "one_sheet.png").is_file()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--min-m", "3", "--max-m", "2"), "--min-m 3 and --max-m 2"),
        (("--max-rel-std", "-1"), "--max-rel-std is -1"),
        (("--max-rel-std", "nan"), "largest relative std is nan"),
        (("--range", "2", "1"), "expected 0 < NEAR < FAR"),
        (("--fx", "nan"), "dfd: fx_px is nan; expected"),
    ],
)
def test_a_range_that_cannot_be_is_refused(images, tiny_depth_model, capsys, arguments, says):
    assert predict(images, *arguments, model=tiny_depth_model) == 2
    assert says in capsys.readouterr().err


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda folder: (folder / "one.png").write_bytes(b"no image"), "one.png: cannot be decoded"),
        (lambda folder: (folder / "one.png").unlink(), "one.png: no such image"),
        (lambda folder: (folder / "one.png").write_bytes((folder / "one.png").read_bytes()[:500]), "cut short"),
    ],
)
def test_a_bad_file_is_counted_and_the_others_are_done(images, tiny_depth_model, capsys, spoil, says):
    spoil(images)
    assert predict(images, model=tiny_depth_model) == 2
    captured = capsys.readouterr()
    assert says in captured.err
    assert "Traceback" not in captured.err
    assert "1 image, 1 failed" in captured.out
    assert (images / "out" / "two_depth.png").is_file()


def test_a_tiff_that_asks_for_too_much_is_refused_before_it_is_decoded(tmp_path, tiny_coc_model):
    black = np.zeros((9000, 9000), np.uint8)
    assert cv2.imwrite(str(tmp_path / "bomb.tif"), black, [cv2.IMWRITE_TIFF_COMPRESSION, 8])
    command = [sys.executable, "-m", "dfd_perception.cli", "predict", str(tmp_path / "bomb.tif")]
    command += ["--model", str(tiny_coc_model), "--backend", "onnxruntime", "--out", str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert "bomb.tif: image has more than 67 million pixels, the most that is taken" in done.stderr


def test_two_images_of_one_stem_are_refused(images, tiny_depth_model, capsys):
    arguments = ["predict", str(images / "one.png"), str(images / "sub" / "one.jpg")]
    assert main([*arguments, "--model", str(tiny_depth_model), "--out", str(images / "out")]) == 2
    assert "would write the same files" in capsys.readouterr().err


def test_a_folder_and_a_pattern_are_their_images(images, tiny_coc_model, capsys):
    arguments = ["--model", str(tiny_coc_model), "--backend", "onnxruntime"]
    assert main(["predict", str(images), *arguments, "--out", str(images / "out")]) == 0
    assert main(["predict", str(images / "t*.jpg"), *arguments, "--out", str(images / "other")]) == 0
    assert {path.name for path in (images / "out").glob("*_sheet.png")} == {"one_sheet.png", "two_sheet.png"}
    assert [path.name for path in (images / "other").glob("*_sheet.png")] == ["two_sheet.png"]


def test_a_video_becomes_videos_of_depth_blur_and_the_deblurred_image(images, tiny_coc_model, capsys):
    with VideoWriter(images / "clip.avi", 20.0) as writer:
        for number in range(6):
            writer.write(np.random.default_rng(number).integers(0, 256, (48, 80, 3), np.uint8))
    command = ["predict", str(images / "clip.avi"), "--model", str(tiny_coc_model), "--backend", "onnxruntime"]
    command += ["--lens", str(images / "lens.yaml"), "--out", str(images / "out")]
    assert main([*command, "--json"]) == 0
    (said,) = json.loads(capsys.readouterr().out)["videos"]
    assert (said["source"], said["frames"]) == ("clip", 6)
    shapes = {"depth_color": (96, 80, 3), "defocus_color": (96, 80, 3), "deblurred": (48, 80, 3)}
    for kind, shape in shapes.items():
        frames = list(Video(str(images / "out" / f"clip_{kind}.mp4")).images())
        assert [frame.image_rgb.shape for frame in frames] == [shape] * 6
    assert main(command) == 2
    assert "would be overwritten; give --overwrite" in capsys.readouterr().err
    assert main([*command, "--overwrite", "--frames", "2"]) == 0
    assert "clip: 2 frames; " in capsys.readouterr().out


def test_a_large_photograph_is_refused_with_the_option_that_helps(images, tiny_depth_model, capsys):
    cv2.imwrite(str(images / "one.png"), np.zeros((3000, 4000, 3), np.uint8))
    assert predict(images, model=tiny_depth_model) == 2
    assert "--input-size" in capsys.readouterr().err
    assert predict(images, "--input-size", "48x64", "--overwrite", model=tiny_depth_model) == 0
    depth = cv2.imread(str(images / "out" / "one_depth.png"), cv2.IMREAD_UNCHANGED)
    assert depth.shape == (3000, 4000)
    assert predict(images, "--input-size", "big", "--overwrite", model=tiny_depth_model) == 2
    assert "expected HEIGHTxWIDTH in pixels, such as 480x640" in capsys.readouterr().err
