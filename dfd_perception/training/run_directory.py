# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""A run's folder: resolved recipe, what it ran on, metrics as JSONL and TensorBoard, panels, checkpoints, model.

RUN/recipe.yaml, environment.json, metrics.jsonl, tensorboard/, panels/, last.pt, best.pt, model/
"""

from __future__ import annotations

import json
import math
import platform
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

import dfd_perception
from dfd_perception.errors import ConfigError, RecordingError, UsageError, reason_of, writing
from dfd_perception.files.atomic import write_bytes
from dfd_perception.files.configuration import from_mapping, plain, read_yaml, write_yaml
from dfd_perception.training.config import CHANGEABLE, TrainConfig, differences

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

RECIPE_FILE = "recipe.yaml"
METRICS_FILE = "metrics.jsonl"


class RunDirectory:
    """Writes the files of a run; only the first process of several has one."""

    def __init__(self, path: Path, first_step: int = 0) -> None:
        self.path = path
        self._first_step = first_step
        self._tensorboard: SummaryWriter | None = None
        if first_step:
            self._forget_after(first_step)

    def log(self, step: int, split: str, values: Mapping[str, float]) -> None:
        """Append a row; a value that is no number becomes null."""
        row = {"step": step, "split": split, **{k: v if math.isfinite(v) else None for k, v in values.items()}}
        with (self.path / METRICS_FILE).open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        for name, value in values.items():
            if math.isfinite(value):
                self.tensorboard.add_scalar(f"{split}/{name}", value, step)

    def save_panel(self, step: int, panel_rgb: NDArray[np.uint8], png: bytes) -> None:
        """Keep the images of a validation."""
        folder = self.path / "panels"
        folder.mkdir(exist_ok=True)
        (folder / f"step_{step:07d}.png").write_bytes(png)
        self.tensorboard.add_image("validation", panel_rgb, step, dataformats="HWC")

    def close(self) -> None:
        """Flush what is not written yet."""
        if self._tensorboard is not None:
            self._tensorboard.close()

    @property
    def tensorboard(self) -> SummaryWriter:
        """The event file, made on first use."""
        if self._tensorboard is None:
            from torch.utils.tensorboard import SummaryWriter

            self._tensorboard = SummaryWriter(str(self.path / "tensorboard"), purge_step=self._first_step or None)
        return self._tensorboard

    def _forget_after(self, step: int) -> None:
        """Drop rows of steps that the checkpoint did not see: they will be written again."""
        path = self.path / METRICS_FILE
        if not path.is_file():
            return
        rows = [line for line in path.read_text("utf-8", "replace").splitlines() if _step_of(line) <= step]
        write_bytes(path, "".join(f"{row}\n" for row in rows).encode())


def _step_of(line: str) -> float:
    """Step of a row; beyond any of one that a full disk or a kill tore, which is left out."""
    try:
        return float(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return math.inf


def create_run_folder(config: TrainConfig) -> Path:
    """Make RUNS/NAME, or NAME-2, -3, ... when there is one, with the resolved recipe and the environment in it.

    Raises:
        UsageError: not writable.
    """
    number = 1
    while True:
        path = config.runs / (config.name if number == 1 else f"{config.name}-{number}")
        try:
            path.mkdir(parents=True)
            break
        except FileExistsError:
            number += 1
        except OSError as error:
            raise UsageError(f"{path}: cannot be made ({reason_of(error)}); choose another folder: runs=DIR") from error
    try:
        with writing(path):
            write_yaml(path / RECIPE_FILE, plain(config))
            (path / "environment.json").write_text(json.dumps(environment(), indent=2) + "\n", "utf-8")
    except RecordingError:
        shutil.rmtree(path, ignore_errors=True)
        raise
    return path


def stored_recipe(folder: Path) -> TrainConfig:
    """The recipe of a run.

    Raises:
        ConfigError: the folder is no run.
    """
    path = folder / RECIPE_FILE
    if not path.is_file():
        raise ConfigError(f"{folder}: no {RECIPE_FILE} in it; --resume takes the folder of a run")
    return from_mapping(TrainConfig, read_yaml(path), str(path))


def require_same_run(folder: Path, stored: TrainConfig, present: TrainConfig) -> None:
    """Check that a recipe may go on with a run.

    Raises:
        ConfigError: it differs in what makes the run.
    """
    changed = differences(plain(stored), plain(present))
    refused = [line for line in changed if line.split(":")[0].split(".")[0] not in CHANGEABLE]
    if refused:
        raise ConfigError(
            f"{folder}: the recipe differs from that run's ({'; '.join(refused[:3])}); "
            "resume with its own recipe or start a new run"
        )


def environment() -> dict[str, Any]:
    """What a run ran on: versions, processor, git revision, command."""
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else platform.processor() or platform.machine()
    return {
        "dfd_perception": dfd_perception.__version__,
        "git_revision": git_revision(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "device": device,
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
    }


def git_revision() -> str | None:
    """Commit of the source tree, "+changes" when files differ from it; None outside of one."""
    folder = Path(dfd_perception.__file__).resolve().parent
    answers = []
    for arguments in (["rev-parse", "HEAD"], ["status", "--porcelain", "--untracked-files=no"]):
        try:
            answer = subprocess.run(
                ["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=10, check=True
            )
        except (OSError, subprocess.SubprocessError):
            return None
        answers.append(answer.stdout.strip())
    return answers[0] + ("+changes" if answers[1] else "")
