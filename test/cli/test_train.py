# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

pytest.importorskip("torch")

from dfd_perception.cli.__main__ import main

LENS = {"focal_length_mm": 35, "f_number": 1.4, "focus_distance_m": 0.6, "pixel_pitch_um": 56.25}


@pytest.fixture
def recipe_file(tmp_path, tiny_options) -> Path:
    recipe = {
        "name": "tiny",
        "model": {"options": tiny_options},
        "data": {"kind": "generated", "scene_size_px": 32, "validation_scenes": 1},
        "augmentation": {"crop_px": [32, 32]},
        "batch_size": 2,
        "max_steps": 2,
        "workers": 0,
        "threads": 1,
        "precision": "fp32",
        "runs": str(tmp_path / "runs"),
        "onnx": False,
    }
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump(recipe))
    return path


@pytest.fixture
def folder(tmp_path) -> Path:
    """A data set of the recorder's layout, five frames."""
    rng = np.random.default_rng(0)
    root = tmp_path / "session"
    for part in ("defocused", "aif", "depth"):
        (root / part).mkdir(parents=True)
    for index in range(5):
        image = rng.integers(0, 256, (40, 48, 3), np.uint8)
        cv2.imwrite(str(root / "defocused" / f"{index:03d}.png"), cv2.GaussianBlur(image, (0, 0), 2))
        cv2.imwrite(str(root / "aif" / f"{index:03d}.png"), image)
        cv2.imwrite(str(root / "depth" / f"{index:03d}.png"), rng.integers(700, 3000, (40, 48)).astype(np.uint16))
    (root / "dataset.yaml").write_text(
        yaml.safe_dump({"format": 1, "name": "session", "lens": LENS, "depth_unit_m": 0.001})
    )
    return root


def failed(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The one line of a command that ends with 2."""
    assert main(arguments) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("tiny: ")]
    assert len(lines) == 1, lines
    return lines[0]


def test_a_folder_of_ones_own_becomes_a_model(recipe_file, folder, capsys):
    arguments = ["train", str(recipe_file), "--data", str(folder), "data.kind=auto", "model.target=depth", "--json"]
    assert main(arguments) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["step"] == 2
    assert result["metrics"]["depth.abs_rel"] > 0
    card = yaml.safe_load((Path(result["model"]) / "model.yaml").read_text())
    assert card["lens"]["f_number"] == pytest.approx(1.4)
    assert card["training"]["data"] == "folder"


def test_generated_scenes_take_photographs_from_data(recipe_file, folder, capsys):
    cv2.imwrite(str(folder / "aif" / "large.png"), np.random.default_rng(0).integers(0, 256, (80, 90, 3), np.uint8))
    assert main(["train", str(recipe_file), "--data", str(folder / "aif"), "max_steps=1"]) == 0
    recipe = yaml.safe_load((recipe_file.parent / "runs" / "tiny" / "recipe.yaml").read_text())
    assert recipe["data"]["textures"] == str(folder / "aif")


def test_a_finished_run_can_be_lengthened(recipe_file, capsys):
    assert main(["train", str(recipe_file)]) == 0
    run = recipe_file.parent / "runs" / "tiny"
    assert main(["train", "--resume", str(run), "max_steps=3"]) == 0
    steps = [json.loads(line)["step"] for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert max(steps) == 3


def test_a_comparison_prints_a_table(recipe_file, capsys):
    arguments = ["train", str(recipe_file), "model.target=depth", f"data.lens={json.dumps(LENS)}"]
    assert main([*arguments, "--compare", "objective.regulariser=none,hu"]) == 0
    table = capsys.readouterr().out.splitlines()
    assert table[0].startswith("| regulariser | depth.rmse_m |")
    assert [line.split()[1] for line in table[2:]] == ["none", "hu"]
    assert (recipe_file.parent / "runs" / "tiny-regulariser.md").read_text().splitlines() == table


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["no_such_recipe"], "neither a file nor one of"),
        ([], "no recipe given"),
        (["RECIPE", "RECIPE"], "2 recipes given"),
        (["RECIPE", "optimiser.speed=3"], "unknown key speed"),
        (["RECIPE", "max_steps=many"], "max_steps is 'many'"),
        (["RECIPE", "--compare", "seed=1"], "two values or more"),
        (["RECIPE", "--resume", "nowhere"], "no recipe.yaml in it"),
        (["RECIPE", "model.start_from=no_such_model"], "'no_such_model' not found"),
        (["RECIPE", "data.textures=nowhere"], "no such folder"),
        (["RECIPE", "data=[1]", "--data", "nowhere"], "data holds a list; expected a mapping"),
        (["RECIPE", "data.kind=auto"], "give --data DIR"),
        (["RECIPE", "data.kind=auto", "--data", "nowhere"], "no such data set"),
        (["RECIPE", "augmentation.crop_px=[64, 64]"], "smaller than the crop"),
    ],
)
def test_a_users_mistake_is_one_line(recipe_file, capsys, words, says):
    line = failed(["train", *[str(recipe_file) if word == "RECIPE" else word for word in words]], capsys)
    assert says in line
    assert not (recipe_file.parent / "runs").exists(), "what never began leaves nothing"


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        ("unpaired", "aif lacks 001"),
        ("unreadable", "defocused/002.png: cannot be decoded as an image"),
        ("size", "depth/003.png: depth is 48 x 20 px"),
        ("empty", "depth/000.png: no valid depth"),
        ("bits", "depth/000.png: depth has 8 bits"),
    ],
)
def test_a_damaged_data_folder_is_one_line_that_says_where(recipe_file, folder, capsys, damage, says):
    depth = folder / "depth" / "000.png"
    if damage == "unpaired":
        (folder / "aif" / "001.png").unlink()
    elif damage == "unreadable":
        (folder / "defocused" / "002.png").write_bytes(b"\x89PNG half")
    elif damage == "size":
        cv2.imwrite(str(folder / "depth" / "003.png"), np.full((20, 48), 900, np.uint16))
    elif damage == "empty":
        cv2.imwrite(str(depth), np.zeros((40, 48), np.uint16))
    else:
        cv2.imwrite(str(depth), np.full((40, 48), 200, np.uint8))
    arguments = ["train", str(recipe_file), "--data", str(folder), "data.kind=folder", "batch_size=4", "max_steps=3"]
    assert says in failed([*arguments, "workers=1"], capsys)


@pytest.mark.slow
@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_saves_and_says_how_to_go_on(recipe_file, stop):
    command = [sys.executable, "-m", "dfd_perception.cli", "train", str(recipe_file), "max_steps=100000", "workers=1"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    run = recipe_file.parent / "runs" / "tiny"
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline and process.poll() is None:
        if (run / "metrics.jsonl").is_file() and '"train"' in (run / "metrics.jsonl").read_text():
            break
        time.sleep(0.2)
    # To the whole group, as terminals and schedulers do: the loading process must neither complain nor end first.
    os.killpg(process.pid, stop)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert f"to go on: dfd train --resume {run}" in out
    assert "Traceback" not in err
    assert (run / "last.pt").is_file()
