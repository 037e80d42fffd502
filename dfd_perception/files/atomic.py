# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Files that appear whole or not at all. Standard library only: the engine cache is read without anything else."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from dfd_perception.errors import RecordingError, reason_of

PARTIAL_SUFFIX = ".part"
"""A file of this ending was being written when its process ended; it can be removed."""


@contextmanager
def replacing(path: Path, *, durable: bool = True, private: bool = False) -> Iterator[BinaryIO]:
    """A file to write into, which takes the place of `path` at the end of the block.

    A reader sees the old content or the new, and two processes that write the same file do not disturb each other.

    Args:
        path: in a folder that exists.
        durable: wait until the disk has it, so that a power cut leaves the old content or the new, never an empty file.
        private: readable by the owner alone.

    Raises:
        OSError: no space, no permission, or `path` is a device or pipe: to root, its place would be taken like that of
            a file. Nothing is left behind and what was there before stays.
    """
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise OSError(errno.EINVAL, "it is a device or a pipe, no file", str(path))
    partial = path.with_name(f".{path.name[:60]}.{secrets.token_hex(4)}{PARTIAL_SUFFIX}")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600 if private else 0o666)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            if durable:
                os.fsync(file.fileno())
        os.replace(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    if durable:
        _sync_folder(path.parent)


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file whole, its folder too where it is missing.

    Raises:
        RecordingError: the disk is full or not writable; what was there before stays.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as file:
            file.write(content)
    except OSError as error:
        raise RecordingError(
            f"{path}: cannot be written ({reason_of(error)}); free some space or choose another folder"
        ) from error


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text whole; see `write_bytes`."""
    # Names of files need not be UTF-8.
    write_bytes(path, text.encode(errors="backslashreplace"))


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
