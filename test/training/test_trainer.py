# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import copy
import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from dfd_perception.core.blur_error import BlurErrorBin, stated_blur_error
from dfd_perception.errors import ConfigError, ModelError, TrainingError, UsageError
from dfd_perception.files.configuration import from_mapping, read_yaml
from dfd_perception.files.model_folder import load_model_folder
from dfd_perception.network.checkpoint import load_network
from dfd_perception.training.checkpointing import load_checkpoint, locked
from dfd_perception.training.config import TrainConfig
from dfd_perception.training.objectives import create_objective
from dfd_perception.training.optimisation import OptimisationStep
from dfd_perception.training.publishing import halves
from dfd_perception.training.run_directory import require_same_run, stored_recipe
from dfd_perception.training.sources import open_sources
from dfd_perception.training.trainer import Trainer, train
from dfd_perception.training.validation import validate


def config_of(recipe, **changes) -> TrainConfig:
    return from_mapping(TrainConfig, recipe | changes, "test")


def rows(folder: Path, split: str) -> list[dict]:
    timing = ("images_per_s", "elapsed_min")
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in row.items() if k not in timing} for row in lines if row["split"] == split]


def stop_after(monkeypatch, steps: int, number: int = signal.SIGINT) -> None:
    """Send this process a signal while its step number `steps` is under way."""
    original = Trainer.step

    def step(self, batches):
        values = original(self, batches)
        if self.state.step == steps:
            os.kill(os.getpid(), number)
        return values

    monkeypatch.setattr(Trainer, "step", step)


def test_a_run_leaves_everything_that_it_promises(recipe):
    result = train(config_of(recipe, onnx=True))
    folder = result.folder
    assert result.step == 6
    assert [row["step"] for row in rows(folder, "train")] == [1, 2, 3, 4, 5, 6]
    assert [row["step"] for row in rows(folder, "validation")] == [0, 4, 6]
    assert from_mapping(TrainConfig, read_yaml(folder / "recipe.yaml"), "recipe") == config_of(recipe, onnx=True)
    assert json.loads((folder / "environment.json").read_text())["torch"] == torch.__version__
    panel = cv2.imread(str(folder / "panels" / "step_0000004.png"))
    assert panel.shape[1] == 6 * 192 + 7 * 8
    assert panel.std() > 20
    assert list((folder / "tensorboard").iterdir())
    model = load_model_folder(result.model)
    assert model.card.trained.input_size == (32, 32)
    assert model.card.training["steps"] in (4, 6)
    low, high = model.card.trained.coc_px
    assert 0 <= low < high <= 13  # the lens gives up to 12 px, the camera's own softness comes on top in quadrature
    assert model.onnx_path.is_file()


def test_the_model_of_a_run_predicts(recipe):
    from dfd_perception.inference.estimator import DepthEstimator, EstimatorOptions

    model = load_model_folder(train(config_of(recipe)).model)
    estimator = DepthEstimator(model, EstimatorOptions(backend="torch", device="cpu"))
    prediction = estimator.predict(np.random.default_rng(0).integers(0, 256, (45, 70, 3), np.uint8))
    assert prediction.coc_px.shape == (45, 70)
    assert np.isfinite(prediction.coc_std_px).all()


@pytest.mark.parametrize("workers", [0, 1])
def test_a_resumed_run_repeats_the_uninterrupted_one(depth_recipe, monkeypatch, workers):
    # Depth with a balanced lambda: that one is measured on the first batch and must survive too.
    whole = train(config_of(depth_recipe, name="whole"))
    with monkeypatch.context() as patch:
        stop_after(patch, 3)
        broken = train(config_of(depth_recipe, name="broken", workers=workers))
    assert broken.interrupted_by == "SIGINT"
    assert broken.step == 3
    assert broken.model is None
    resumed = train(stored_recipe(broken.folder), broken.folder)
    assert resumed.step == 6
    assert rows(resumed.folder, "train") == rows(whole.folder, "train")
    assert rows(resumed.folder, "validation") == rows(whole.folder, "validation")
    first, second = (load_checkpoint(r.folder / "last.pt") for r in (whole, resumed))
    assert first["objective"] == second["objective"]
    for part in ("network", "averaged"):
        for key, value in first[part].items():
            assert torch.equal(value, second[part][key]), key


def test_rows_after_the_checkpoint_are_written_once(recipe, monkeypatch):
    with monkeypatch.context() as patch:
        stop_after(patch, 2)
        broken = train(config_of(recipe))
    with (broken.folder / "metrics.jsonl").open("a") as file:
        file.write('{"step": 3, "split": "train", "loss": 1.0}\n')
        file.write('{"step": 3, "split": "tr')  # torn by a full disk
    train(config_of(recipe), broken.folder)
    assert [row["step"] for row in rows(broken.folder, "train")] == [1, 2, 3, 4, 5, 6]


def test_a_run_that_never_began_leaves_its_name_free(recipe, monkeypatch, capsys):
    def fail(self, *arguments):
        raise TrainingError("it cannot be")

    with monkeypatch.context() as patch:
        patch.setattr("dfd_perception.training.trainer.Trainer.validate", fail)
        with pytest.raises(TrainingError, match="it cannot be"):
            train(config_of(recipe))
    assert not config_of(recipe).runs.exists()
    for name in ("tiny", "tiny-2"):
        with monkeypatch.context() as patch:
            stop_after(patch, 1)
            assert train(config_of(recipe)).folder.name == name
    assert "tiny exists; this run is" in capsys.readouterr().err


def test_sigterm_saves_too(recipe, monkeypatch):
    stop_after(monkeypatch, 1, signal.SIGTERM)
    result = train(config_of(recipe))
    assert result.interrupted_by == "SIGTERM"
    assert load_checkpoint(result.folder / "last.pt")["step"] == 1


@pytest.mark.parametrize("mode", ["supervised", "depth_only", "deblur_only", "self_supervised"])
@pytest.mark.parametrize("target", ["coc", "depth"])
def test_every_mode_trains_the_heads_that_it_means(recipe, depth_recipe, mode, target):
    if mode == "self_supervised" and target == "depth":
        pytest.skip("a defocus map is learnt: refused by the recipe")
    depth_recipe["model"]["target"] = target
    config = config_of(depth_recipe, objective={"mode": mode}, max_steps=2, seed=5)
    result = train(config)
    torch.manual_seed(5)
    from dfd_perception.training.state import build_network

    before = build_network(config.model).state_dict()
    after = load_checkpoint(result.folder / "last.pt")["network"]
    last = "last_conv" if target == "depth" else "logits"
    weights = {"upper_head": f"upper_head.{last}.weight", "lower_head": "lower_head.last_conv.weight"}
    changed = {part for part, key in weights.items() if not torch.equal(before[key], after[key])}
    assert (
        changed
        == {
            "supervised": {"upper_head", "lower_head"},
            "self_supervised": {"upper_head", "lower_head"},
            "depth_only": {"upper_head"},
            "deblur_only": {"lower_head"},
        }[mode]
    )
    heads = {"depth_only": ("depth",), "deblur_only": ("deblurred",)}
    assert load_model_folder(result.model).card.heads == heads.get(mode, ("depth", "deblurred"))


def test_a_depth_model_knows_its_lens(depth_recipe):
    card = load_model_folder(train(config_of(depth_recipe, max_steps=1)).model).card
    assert card.lens.f_number == 1.4
    assert card.trained.depth_m[0] > 0


def test_frozen_parts_stay_as_they_are(recipe):
    first = train(config_of(recipe, name="first"))
    model = recipe["model"] | {"start_from": str(first.model), "freeze": ["encoder"]}
    second = train(config_of(recipe, name="second", model=model))
    before = load_network(load_model_folder(first.model)).state_dict()
    after = load_checkpoint(second.folder / "last.pt")["network"]
    assert all(torch.equal(before[k], after[k]) for k in before if k.startswith("encoder."))
    assert not torch.equal(before["upper_head.logits.weight"], after["upper_head.logits.weight"])


def test_batch_statistics_can_stay_those_of_the_start(recipe):
    """Of few small crops they are noise: with its own, fine-tuning the shipped weights made them worse."""
    first = train(config_of(recipe, name="first"))
    model = recipe["model"] | {"start_from": str(first.model), "keep_statistics": True}
    second = train(config_of(recipe, name="second", model=model))
    before = load_network(load_model_folder(first.model)).state_dict()
    after = load_checkpoint(second.folder / "last.pt")["network"]
    statistics = [key for key in before if "running_" in key]
    assert statistics
    assert all(torch.equal(before[key], after[key]) for key in statistics)
    for key in ("upper_head.logits.weight", "lower_head.last_conv.weight"):
        assert not torch.equal(before[key], after[key])


def test_a_start_of_another_kind_is_refused(recipe):
    first = train(config_of(recipe, name="first", max_steps=1))
    lens = {"lens": {"focal_length_mm": 35, "f_number": 1.4, "focus_distance_m": 0.6, "pixel_pitch_um": 56.25}}
    other_target = recipe["model"] | {"start_from": str(first.model), "target": "depth"}
    other_sizes = copy.deepcopy(recipe["model"]) | {"start_from": str(first.model)}
    other_sizes["options"]["encoder"]["stem"] = 12
    other_variant = {"variant": "2hded", "target": "coc", "start_from": str(first.model)}
    for model, says in ((other_target, "start_parts"), (other_sizes, "other sizes"), (other_variant, "variant")):
        with pytest.raises(ModelError, match=says):
            train(config_of(recipe, name="second", model=model, data=recipe["data"] | lens))
    started = other_target | {"start_parts": ["encoder", "lower_head"]}
    assert train(config_of(recipe, name="third", model=started, data=recipe["data"] | lens, max_steps=1)).step == 1


def test_the_evidence_is_tempered_and_the_std_calibrated_at_the_end(recipe):
    """On the half of the validation set that it is fitted on, 68.27 % lie within one; the other half is reported."""
    tempered = recipe["model"] | {"evidence": 0.5, "image_prior": 0.25}
    config = config_of(recipe, max_steps=2, model=tempered, data=recipe["data"] | {"validation_scenes": 8})
    result = train(config)
    network = load_network(load_model_folder(result.model))
    assert float(network.log_var_offset) != 0
    assert (float(network.upper_head.evidence), float(network.upper_head.image_prior)) == (0.5, 0.25)
    fitted_on, reported_on = halves(open_sources(config.data, config.seed).validation)
    objective = create_objective(config.objective, "coc")
    fitted, reported = (validate(network, objective, half, torch.device("cpu")) for half in (fitted_on, reported_on))
    assert fitted.metrics["defocus.share_within_one_std"] == pytest.approx(0.6827, abs=2e-3)
    assert fitted.std_factor == pytest.approx(1, abs=1e-3)
    assert reported.by_blur
    assert stated_blur_error(load_model_folder(result.model).card.metrics).by_blur == tuple(
        BlurErrorBin(row.from_px, row.to_px, pytest.approx(row.mae_px, rel=1e-2)) for row in reported.by_blur
    )
    share = reported.metrics["defocus.share_within_one_std"]
    assert result.metrics["defocus.share_within_one_std"] == pytest.approx(share, abs=1e-3)


def test_a_loss_that_is_no_number_stops_the_run(recipe):
    wild = recipe["optimiser"] | {"learning_rate": 1e25, "warmup_steps": 0, "gradient_clip": 0.0}
    says = r"step \d: .*(nan|inf).* in the batch of 2 at 32 x 32 px \(generated-"
    with pytest.raises(TrainingError, match=says) as caught:
        train(config_of(recipe, optimiser=wild, max_steps=20))
    assert "\n" not in str(caught.value)


def test_out_of_memory_names_the_batch(recipe, monkeypatch):
    def exhausted(self, batch, count):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")

    monkeypatch.setattr(OptimisationStep, "backward", exhausted)
    with pytest.raises(TrainingError, match=r"step 0: out of memory in the batch of 2 at 32 x 32 px.*batch_size"):
        train(config_of(recipe))


def test_memory_that_a_cpu_does_not_have(recipe, monkeypatch):
    def exhausted(self, batch, count):
        torch.empty(1 << 50)

    monkeypatch.setattr(OptimisationStep, "backward", exhausted)
    with pytest.raises(TrainingError, match="out of memory"):
        train(config_of(recipe))


def test_a_run_in_use_is_refused(recipe, monkeypatch):
    with monkeypatch.context() as patch:
        stop_after(patch, 2)
        broken = train(config_of(recipe))
    before = (broken.folder / "last.pt").read_bytes()
    with locked(broken.folder), pytest.raises(UsageError, match=f"in use by process {os.getpid()}"):
        train(config_of(recipe), broken.folder)
    assert (broken.folder / "last.pt").read_bytes() == before


KILLED_WHILE_IT_SAVES = """
import json, os, signal, sys
from dfd_perception.files.configuration import from_mapping
from dfd_perception.training.config import TrainConfig
from dfd_perception.training.trainer import train

replace, saved = os.replace, 0

def replace_or_die(source, target):
    global saved
    saved += str(target).endswith("last.pt")
    if saved == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    replace(source, target)

os.replace = replace_or_die
train(from_mapping(TrainConfig, json.loads(sys.argv[1]), "test"))
"""


@pytest.mark.fault
def test_a_run_that_was_killed_in_the_middle_of_a_checkpoint_goes_on_from_the_one_before(recipe):
    command = [sys.executable, "-c", KILLED_WHILE_IT_SAVES, json.dumps(recipe)]
    assert subprocess.run(command, capture_output=True, timeout=300).returncode == -signal.SIGKILL
    (folder,) = Path(recipe["runs"]).iterdir()
    assert load_checkpoint(folder / "last.pt")["step"] < 6
    assert list(folder.glob(".last.pt.*")), "the second one was under way"
    assert train(config_of(recipe), folder).step == 6
    assert [row["step"] for row in rows(folder, "train")] == [1, 2, 3, 4, 5, 6]
    assert not list(folder.glob(".*.part"))


@pytest.mark.fault
@pytest.mark.parametrize("largest_file", [400_000, 20_000])
def test_a_full_disk_keeps_the_checkpoint_of_before(recipe, monkeypatch, largest_file):
    with monkeypatch.context() as patch:
        stop_after(patch, 2)
        broken = train(config_of(recipe))
    before = (broken.folder / "last.pt").read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    # No file as large as a checkpoint, or as a panel, can be written: what a disk that is nearly full does.
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, limits[1]))
    try:
        with pytest.raises(UsageError, match=r"cannot be written \(.*--resume"):
            train(config_of(recipe), broken.folder)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (broken.folder / "last.pt").read_bytes() == before
    assert not list(broken.folder.glob("*.part"))
    assert train(config_of(recipe), broken.folder).step == 6


def test_another_recipe_does_not_go_on_with_a_run(recipe, tmp_path):
    stored = config_of(recipe)
    require_same_run(tmp_path, stored, config_of(recipe, max_steps=60, workers=2))
    with pytest.raises(ConfigError, match=r"batch_size: 2 -> 3"):
        require_same_run(tmp_path, stored, config_of(recipe, batch_size=3))
    with pytest.raises(ConfigError, match=r"model.target: coc -> depth"):
        require_same_run(tmp_path, stored, config_of(recipe, model=recipe["model"] | {"target": "depth"}))


def test_a_checkpoint_of_another_network_is_refused(recipe, monkeypatch):
    with monkeypatch.context() as patch:
        stop_after(patch, 1)
        broken = train(config_of(recipe))
    model = copy.deepcopy(recipe["model"])
    model["options"]["encoder"]["stem"] = 12
    with pytest.raises(ModelError, match="another network"):
        train(config_of(recipe, model=model), broken.folder)


@pytest.mark.parametrize("content", [None, b"", b"PK\x03\x04 half a file"])
def test_a_checkpoint_that_is_none_is_named(recipe, tmp_path, content):
    folder = tmp_path / "run"
    folder.mkdir()
    if content is not None:
        (folder / "last.pt").write_bytes(content)
    with pytest.raises(ModelError, match=r"run/last\.pt"):
        train(config_of(recipe), folder)


def test_depth_without_a_lens_is_refused_before_the_first_step(recipe):
    recipe["model"]["target"] = "depth"
    with pytest.raises(ConfigError, match=r"data\.lens"):
        train(config_of(recipe))
    assert not Path(recipe["runs"]).exists()


def test_the_clock_ends_a_run(recipe):
    config = config_of({k: v for k, v in recipe.items() if k != "max_steps"}, max_minutes=0.02, validate_every=100_000)
    result = train(config)
    assert result.step >= 1
    assert 1.2 <= load_checkpoint(result.folder / "last.pt")["elapsed_s"] < 15


SCRIPT = """
import sys, json
from pathlib import Path
from dfd_perception.files.configuration import from_mapping
from dfd_perception.training.config import TrainConfig
from dfd_perception.training.sources import open_sources
from dfd_perception.training.trainer import Trainer, train
from dfd_perception.training.validation import validate
original = Trainer.run
def run(self, resumed):
    result = original(self, resumed)
    total = sum(float(p.detach().double().abs().sum()) for p in self.state.network.parameters())
    Path(sys.argv[2], f"rank{self.fabric.global_rank}of{self.fabric.world_size}").write_text(repr(total))
    return result
Trainer.publish = lambda self: ({}, None)
Trainer.run = run
train(from_mapping(TrainConfig, json.loads(sys.argv[1]), "test"))
"""


@pytest.mark.slow
def test_two_processes_learn_what_one_learns_from_both_their_batches(recipe, tmp_path):
    recipe |= {"max_steps": 3, "threads": 1, "accelerator": "cpu"}
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone"]
    command += [str(script), json.dumps(recipe | {"name": "two"}), str(tmp_path)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=110, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    sums = [float((tmp_path / f"rank{rank}of2").read_text()) for rank in (0, 1)]
    assert sums[0] == sums[1]
    # One process that adds up two batches a step sees the same samples, normalised in the same groups.
    one = train(config_of(recipe, name="one", accumulate=2))
    two = load_checkpoint(Path(recipe["runs"]) / "two" / "last.pt")["network"]
    single = load_checkpoint(one.folder / "last.pt")["network"]
    for key, value in single.items():
        if "running_" not in key and "num_batches" not in key:
            torch.testing.assert_close(two[key], value, atol=2e-4, rtol=1e-3)


def test_a_run_that_diverges_ends_in_one_line(recipe):
    recipe["optimiser"] |= {"learning_rate": 1.0e30, "warmup_steps": 0, "gradient_clip": 0.0}
    with pytest.raises(TrainingError, match=r"no number|nan|inf"):
        train(config_of(recipe, validate_every=1))


def test_a_crop_of_nothing_is_refused(recipe):
    recipe["augmentation"] = {"crop_px": [0, 0]}
    with pytest.raises(ConfigError, match=r"crop_px is \[0, 0\]; expected \[height, width\] of 16 or more"):
        config_of(recipe)
