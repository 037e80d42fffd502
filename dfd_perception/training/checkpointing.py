# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Checkpoints of a run: written whole or not at all, read without running code, and one process at a time."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from dfd_perception.errors import ModelError, UsageError, reading, reason_of
from dfd_perception.files.atomic import PARTIAL_SUFFIX, replacing

LAST_FILE = "last.pt"
BEST_FILE = "best.pt"
LOCK_FILE = "lock"


def save_checkpoint(path: Path, state: Mapping[str, Any]) -> None:
    """Write to a neighbour, flush, rename: the previous checkpoint stays until the new one is whole.

    Raises:
        UsageError: disk full or not writable.
    """
    try:
        with replacing(path) as file:
            torch.save(dict(state), file)
    except (OSError, RuntimeError) as error:
        # torch reports a failed write as RuntimeError, with the reason as its cause or not at all.
        reason = reason_of(error)
        kept = f"; {path.name} of before is intact" if path.exists() else ""
        raise UsageError(f"{path}: cannot be written ({reason}){kept}; free some space, then --resume") from error


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint onto the CPU.

    Raises:
        ModelError: absent or not a checkpoint of this trainer.
    """
    if not path.is_file():
        raise ModelError(f"{path}: no such checkpoint; --resume takes the folder of a run that has saved one")
    with reading(path, ModelError, "expected a checkpoint of dfd train"):
        state = torch.load(path, map_location="cpu", weights_only=True)
    if not isinstance(state, dict) or "step" not in state or "network" not in state:
        raise ModelError(f"{path}: not a checkpoint of this trainer")
    return state


@contextmanager
def full_disk_explained(folder: Path) -> Iterator[None]:
    """One line for a disk that is full while a run writes its metrics, images or model.

    Raises:
        UsageError: no space left, a quota or a limit reached.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        where = error.filename or folder
        raise UsageError(
            f"{where}: cannot be written ({reason_of(error)}); checkpoints are intact: free some space, then --resume"
        ) from error


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a run's folder, cleared of what a killed process half wrote; the lock goes with the process.

    Raises:
        UsageError: another process holds it.
    """
    path = folder / LOCK_FILE
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            file.seek(0)
            holder = file.read().strip() or "another process"
            raise UsageError(f"{folder}: in use by {holder}; wait for it or stop it") from error
        file.truncate(0)
        file.write(f"process {os.getpid()}")
        file.flush()
        for partial in folder.glob(f".*{PARTIAL_SUFFIX}"):
            partial.unlink(missing_ok=True)  # of a process that was killed while it wrote
        yield
