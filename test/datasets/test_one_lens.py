# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""One lens, one K: whatever way it comes in, a loader, a trainer, an evaluation, a node and a card agree."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from dfd_perception.cli.__main__ import main
from dfd_perception.datasets.folder import DatasetDescription, read_description, write_dataset_yaml
from dfd_perception.datasets.registry import open_dataset
from dfd_perception.evaluation.sources.bag_truth import lens_on_camera
from dfd_perception.evaluation.sources.dataset_source import DatasetSource
from dfd_perception.files.images import write_png
from dfd_perception.files.lens_file import read_lens
from dfd_perception.training.config_sections import DataConfig
from dfd_perception.training.sources import open_sources

LENS = Path(__file__).resolve().parents[2] / "benchmarks" / "lenses" / "35mm_f1.4.yaml"
FX_PX = 52.5
GAIN = FX_PX * 25e-3
"""35 mm at f/1.4: 25 mm wide. The pitch of the file would say 16.5."""


@pytest.fixture
def frames(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for index in range(5):
        folder = tmp_path / "frames" / f"f{index}"
        write_png(folder / "rgb.png", rng.integers(0, 256, (48, 64, 3), np.uint8))
        write_png(folder / "depth.png", rng.integers(700, 3000, (48, 64)).astype(np.uint16))
        (folder / "meta.json").write_text(json.dumps({"fx": FX_PX, "fy": FX_PX, "cx": 31.5, "cy": 23.5}))
    return tmp_path / "frames"


def test_the_documented_walk_has_one_gain(frames: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    session = tmp_path / "session"
    assert main(["synthesize", str(frames), "--lens", str(LENS), "--out", str(session), "--json"]) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out)["gain_px_per_dioptre"] == pytest.approx(GAIN)
    assert "that of the images is used" in printed.err
    written = read_description(session)
    assert written.lens is not None
    assert written.lens.curve().gain_px_per_dioptre == pytest.approx(GAIN)

    def source(**options: object) -> DatasetSource:
        return DatasetSource(open_dataset(session), session, **options)  # type: ignore[arg-type]

    lens = read_lens(LENS)
    sources = open_sources(DataConfig(path=session), seed=0)
    assert sources.lens is not None
    info = SimpleNamespace(
        width=64, height=48, distortion_model="", d=[], p=[], binning_x=1, binning_y=1,
        k=[FX_PX, 0, 31.5, 0, FX_PX, 23.5, 0, 0, 1],
        roi=SimpleNamespace(x_offset=0, y_offset=0, width=0, height=0),
    )  # fmt: skip
    of_bag = lens_on_camera(lens, info, (48, 64), "/image")
    assert of_bag is not None
    curves = {
        "loader": open_dataset(session)[0].curve,
        "evaluation by the folder's lens": next(source().frames()).curve,
        "evaluation by --lens": next(source(lens=lens).frames()).curve,
        "bag": of_bag.curve,
        "trainer": sources.curve,
        "sample of the trainer": sources.train[0].curve,
        "recipe's own lens": open_sources(DataConfig(path=session, lens=lens), seed=0).curve,
        "recipe on sharp frames": open_sources(DataConfig(path=frames, lens=lens), seed=0).curve,
        "card": sources.lens.defocus_curve(),
    }
    gains = {way: None if curve is None else curve.gain_px_per_dioptre for way, curve in curves.items()}
    assert gains == {way: pytest.approx(GAIN) for way in curves}


def test_sets_that_were_blurred_by_the_pitch_are_read_so(frames: Path, tmp_path: Path) -> None:
    session = tmp_path / "session"
    assert main(["synthesize", str(frames), "--lens", str(LENS), "--out", str(session)]) == 0
    new = read_description(session)
    old = DatasetDescription(
        lens=read_lens(LENS), camera=new.camera, provenance=new.provenance, counts=new.counts
    )  # as it was written before: blurred by the pitch of the file, fx beside it
    write_dataset_yaml(session, old)
    curve = open_dataset(session)[0].curve
    assert curve is not None
    assert curve.gain_px_per_dioptre == pytest.approx(16.52, abs=0.01)
    recorded = DatasetDescription(lens=read_lens(LENS), camera=new.camera, counts=new.counts)
    write_dataset_yaml(session, recorded)
    curve = open_dataset(session)[0].curve
    assert curve is not None
    assert curve.gain_px_per_dioptre == pytest.approx(GAIN)
