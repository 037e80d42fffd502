# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Every error that the package raises on purpose.

    DfdPerceptionError            exit 1: it failed
    ├── UsageError                exit 2: the user can mend it
    │   ├── ConfigError           a recipe, parameter or YAML file
    │   ├── LensError             a lens description that cannot be, or does not fit
    │   ├── ImageError            an image or message that cannot be read as one
    │   ├── DatasetError          a data set, session or bag
    │   ├── ModelError            a model folder, checkpoint or weights
    │   └── CalibrationError      a calibration that is poor, absent or of another camera
    ├── BackendError              an inference runtime that is absent or refuses
    │   └── EngineError           a TensorRT build, plan or run
    ├── RecordingError            a recording that cannot go on
    └── TrainingError             a training run that had to stop

A message says what was got, what was expected, and what to do.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LONGEST_REASON = 160
LONGEST_LINE = 600
"""Characters of a line in a log; the rest is cut out of its middle."""
LONGEST_MESSAGE = 1500
"""Characters of a message: files quote themselves in it, and a name may be as long as its file."""

_CONTROL = re.compile(r"\s*[\x00-\x1f\x7f-\x9f\u2028\u2029]+\s*")

LFS_POINTER = b"version https://git-lfs"
"""What a file of a repository that was cloned without git-lfs begins with."""


class DfdPerceptionError(Exception):
    """Base of all; `exit_code` is what the command line ends with."""

    exit_code = 1

    def __str__(self) -> str:
        # Files quote themselves in messages.
        text = without_controls(super().__str__())
        return text if len(text) <= LONGEST_MESSAGE else shortened(text, LONGEST_MESSAGE)


class UsageError(DfdPerceptionError):
    """Something that the user gave is wrong and the message says how to mend it."""

    exit_code = 2


class ConfigError(UsageError):
    """A recipe, parameter or YAML file is wrong."""


class LensError(UsageError):
    """A lens description is impossible, incomplete or does not fit the model."""


class ImageError(UsageError):
    """An image or image message cannot be read as one."""


class DatasetError(UsageError):
    """A data set, session or bag is incomplete or unreadable."""


class ModelError(UsageError):
    """A model folder, checkpoint or weights file is missing or does not fit."""


class CalibrationError(UsageError):
    """A calibration is absent, poor, or belongs to another camera."""


class BackendError(DfdPerceptionError):
    """An inference runtime is absent or refuses the model."""


class EngineError(BackendError):
    """A TensorRT engine cannot be built, loaded or run."""


class RecordingError(DfdPerceptionError):
    """A recording cannot go on; what was written stays."""


class TrainingError(DfdPerceptionError):
    """A training run had to stop; the last good checkpoint stays."""


def without_controls(text: str) -> str:
    """The text with a space for line breaks and for codes that a terminal obeys, which names of files may hold."""
    return _CONTROL.sub(" ", text)


def shortened(text: str, longest: int = LONGEST_LINE) -> str:
    """The text as one line of at most `longest` characters, what is too much cut out of its middle."""
    line = " ".join(text.split()) if len(text) <= longest else " ".join(text[: 4 * longest].split())
    cut = len(text) - longest
    if cut <= 0 and len(line) <= longest:
        return line
    half = (longest - 40) // 2
    end = " ".join(text[-half:].split())
    return f"{line[:half]} ... ({max(cut, 0) + 40} characters more) ... {end}"


def counted(count: int, noun: str) -> str:
    """A number with its noun: 1 frame, 2 frames."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


REASONS: dict[int | None, str] = {
    errno.ENOENT: "nothing is there",
    errno.EACCES: "permission is refused",
    errno.EPERM: "permission is refused",
    errno.EISDIR: "it is a folder",
    errno.ENOTDIR: "part of its path is a file",
    errno.EEXIST: "it exists already",
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the quota of the disk is used up",
    errno.EFBIG: "it is larger than a file may be",
    errno.EROFS: "the disk is read-only",
    errno.EIO: "the disk does not answer",
    errno.ENAMETOOLONG: "its name is too long",
    errno.ELOOP: "its links go round in a circle",
    errno.EMFILE: "too many files are open",
    errno.EBUSY: "it is in use",
}
"""What the system's numbers mean to a person."""


def reason_of(error: BaseException) -> str:
    """Why something failed, as one short line for a person."""
    if isinstance(error, OSError) and error.strerror:
        return REASONS.get(error.errno, error.strerror)
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    if isinstance(error, MemoryError):
        return "it is larger than the memory"
    if isinstance(error, KeyError) and error.args:
        return f"{error.args[0]!r} is missing"
    words = " ".join(str(error).split()) or type(error).__name__
    return words if len(words) <= LONGEST_REASON else f"{words[:LONGEST_REASON]}..."


def lfs_pointer_advice(source: Path | str) -> str | None:
    """What to say of a file that is only a pointer of git-lfs; None of any other."""
    try:
        if not os.path.isfile(source):  # opening a pipe would wait for whoever writes into it
            return None
        with open(source, "rb") as file:
            start = file.read(len(LFS_POINTER))
    except (OSError, ValueError):
        return None
    if start != LFS_POINTER:
        return None
    return f"{source}: a pointer of git-lfs, not the file itself; fetch it with: git lfs pull"


@contextmanager
def reading(source: Path | str, kind: type[UsageError], expected: str = "") -> Iterator[None]:
    """Turn whatever a parser raises on damaged or hostile bytes of a file into an error of one line.

    Args:
        source: the file, or what it is called.
        kind: class of the error.
        expected: what should have been there, such as "expected a recording of k4arecorder".

    Raises:
        UsageError: of `kind`, for anything that is not an error of this project already.
    """
    try:
        yield
    except Exception as error:
        pointer = lfs_pointer_advice(source)
        if pointer is not None:
            raise kind(pointer) from error
        if isinstance(error, DfdPerceptionError):
            raise
        hint = f"; {expected}" if expected else ""
        raise kind(f"{source}: cannot be read ({reason_of(error)}){hint}") from error


@contextmanager
def writing(target: Path | str) -> Iterator[None]:
    """Turn a full disk or a missing right into an error of one line that names the file.

    Raises:
        RecordingError: the system refuses.
    """
    try:
        yield
    except OSError as error:
        raise RecordingError(
            f"{error.filename or target}: cannot be written ({reason_of(error)}); free some space or choose another "
            "folder"
        ) from error
