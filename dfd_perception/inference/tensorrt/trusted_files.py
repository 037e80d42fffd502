# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Files that only their owner can have written. Standard library only.

A plan is a program: TensorRT runs what is in it. So one is read only if nobody else could have put it there.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from dfd_perception.errors import EngineError, reason_of
from dfd_perception.files.atomic import replacing

OTHERS_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH


def make_private_folder(folder: Path) -> None:
    """Create a folder for this user alone, or check the one that is there.

    Raises:
        EngineError: it belongs to somebody else, others can write to it, or it cannot be made.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.stat()
    except OSError as error:
        raise EngineError(f"{folder}: no folder for engines ({reason_of(error)}); set engine_cache_dir") from error
    _require_own(folder, status)


def read_trusted(path: Path) -> bytes:
    """Content of a file that only this user (or root) can write.

    Raises:
        EngineError: others can write it, it belongs to somebody else, or it is not a plain file.
        OSError: it cannot be read.
    """
    # The checks are of the opened file, not of the name: the name may point elsewhere a moment later.
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise EngineError(f"{path}: not a plain file; an engine is one")
        _require_own(path, status)
        return file.read()


def _require_own(path: Path, status: os.stat_result) -> None:
    if status.st_uid not in (os.geteuid(), 0):
        raise EngineError(f"{path}: belongs to user {status.st_uid}; an engine is code and only one's own is loaded")
    if status.st_mode & OTHERS_MAY_WRITE:
        raise EngineError(
            f"{path}: others can write it (mode {stat.S_IMODE(status.st_mode):o}), and an engine is code; "
            f"chmod go-w {path}"
        )


def write_private(path: Path, content: bytes) -> None:
    """Write so that a reader sees the old content or the new, also after a power cut; for the owner alone.

    Raises:
        OSError: no space, no permission; nothing is left behind.
    """
    with replacing(path, private=True) as file:
        file.write(content)
