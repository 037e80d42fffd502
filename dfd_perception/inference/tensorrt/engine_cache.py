# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Engines on disk: found by content, checked before use, bounded in size. Standard library only.

Files of the folder:
    STEM.engine        the plan as TensorRT wrote it, so that trtexec reads it too
    STEM.json          what it was built from, its hash, the result of its self-check
    STEM.engine.bad    a plan that could not be used, kept once so that it can be examined
    locks/STEM         held by the process that builds; never removed, since a lock is of a file and not of a name
    timing/            what the builder measured, one file for each GPU and TensorRT
    calibrated/        graphs with int8 quantisers, one for each model
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from dfd_perception.errors import EngineError, reason_of
from dfd_perception.inference.tensorrt.engine_key import EngineKey
from dfd_perception.inference.tensorrt.trusted_files import make_private_folder, read_trusted, write_private

_log = logging.getLogger(__name__)

FOLDER_VARIABLE = "DFD_ENGINE_CACHE"
DEFAULT_LIMIT_BYTES = 4 << 30
LOCK_TIMEOUT_S = 3600.0
LOCK_POLL_S = 0.2


@dataclass(frozen=True)
class CacheEntry:
    """One engine and its sidecar."""

    path: Path
    key: dict[str, Any]
    plan_sha256: str
    facts: dict[str, Any] = field(default_factory=dict)
    """What is worth knowing and decides nothing: build time, driver, and `self_check`."""

    @property
    def sidecar(self) -> Path:
        return self.path.with_suffix(".json")

    def plan(self) -> bytes:
        """The plan.

        Raises:
            EngineError: cut short, changed, or not trustworthy.
        """
        try:
            content = read_trusted(self.path)
        except OSError as error:
            raise EngineError(f"{self.path}: cannot be read ({reason_of(error)})") from error
        digest = hashlib.sha256(content).hexdigest()
        if digest != self.plan_sha256:
            raise EngineError(
                f"{self.path}: {len(content)} bytes with sha256 {digest[:12]}..., its sidecar says "
                f"{self.plan_sha256[:12]}...; it was cut short or changed"
            )
        return content


class EngineCache:
    """The folder of engines of one user."""

    def __init__(self, folder: Path | None = None, limit_bytes: int = DEFAULT_LIMIT_BYTES) -> None:
        self.folder = folder or default_folder()
        self.limit_bytes = limit_bytes

    def find(self, key: EngineKey, model_name: str) -> CacheEntry | None:
        """The engine of a key, or None. One whose sidecar does not agree is set aside.

        Raises:
            EngineError: others can write it, or to the folder.
        """
        path = self.folder / f"{key.file_stem(model_name)}.engine"
        if not path.exists():
            return None
        make_private_folder(self.folder)
        entry = self._read_sidecar(path)
        if entry is not None and entry.key == asdict(key):
            with suppress(OSError):
                os.utime(entry.sidecar)  # the age by which the size is bounded
            return entry
        self.quarantine(path, "its sidecar is missing, unreadable or of another engine")
        return None

    def store(self, key: EngineKey, model_name: str, plan: bytes, facts: dict[str, Any]) -> CacheEntry:
        """Keep an engine.

        Raises:
            EngineError: the folder cannot be used or the disk is full; what was there stays.
        """
        make_private_folder(self.folder)
        path = self.folder / f"{key.file_stem(model_name)}.engine"
        entry = CacheEntry(path, asdict(key), hashlib.sha256(plan).hexdigest(), facts)
        try:
            write_private(path, plan)
            self.write_facts(entry, facts)
        except OSError as error:
            reason = reason_of(error)
            raise EngineError(f"{path}: cannot be kept ({reason}); 'dfd engines prune' frees space") from error
        self.prune(self.limit_bytes, keep=path)
        return entry

    def write_facts(self, entry: CacheEntry, facts: dict[str, Any]) -> CacheEntry:
        """Replace the facts in a sidecar.

        Raises:
            OSError: it cannot be written.
        """
        updated = CacheEntry(entry.path, entry.key, entry.plan_sha256, facts)
        content = {"key": updated.key, "plan_sha256": updated.plan_sha256, "facts": facts}
        write_private(updated.sidecar, json.dumps(content, indent=2, sort_keys=True).encode() + b"\n")
        return updated

    def quarantine(self, path: Path, reason: str) -> None:
        """Set an engine aside as STEM.engine.bad, so that it is not loaded again but can be examined."""
        _log.warning("engine %s is set aside: %s", path.name, reason)
        with suppress(OSError):
            os.replace(path, path.with_suffix(".engine.bad"))
        with suppress(OSError):
            path.with_suffix(".json").unlink()

    @contextmanager
    def lock(self, key: EngineKey, model_name: str, on_wait: Callable[[], None] | None = None) -> Iterator[None]:
        """Hold the right to build one engine; a second process waits here and then finds it built.

        The lock goes with its holder, however it ends.

        Raises:
            EngineError: not free within an hour, or the folder cannot be used.
        """
        make_private_folder(self.folder)
        make_private_folder(self.folder / "locks")
        path = self.folder / "locks" / key.file_stem(model_name)
        deadline = time.monotonic() + LOCK_TIMEOUT_S
        with path.open("w") as file:
            while True:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > deadline:
                        raise EngineError(f"{path}: another process has been building for an hour; end it") from None
                if on_wait is not None:
                    on_wait()
                time.sleep(LOCK_POLL_S)
            yield

    def timing_cache(self, key: EngineKey) -> bytes:
        """What builds on this GPU with this TensorRT have measured; empty at first."""
        with suppress(OSError, EngineError):
            return read_trusted(self._timing_path(key))
        return b""

    def keep_timing_cache(self, key: EngineKey, content: bytes) -> None:
        """Keep what a build measured; losing it costs time only."""
        path = self._timing_path(key)
        with suppress(OSError, EngineError):
            make_private_folder(path.parent)
            write_private(path, content)

    def entries(self) -> list[CacheEntry]:
        """Engines with a readable sidecar, the latest used first."""
        if not self.folder.is_dir():
            return []
        readable = [self._read_sidecar(path) for path in self.folder.glob("*.engine")]
        return sorted((e for e in readable if e is not None), key=lambda e: -_age_key(e.path))

    def prune(self, limit_bytes: int = 0, keep: Path | None = None) -> list[Path]:
        """Remove set-aside plans and temporaries, then the longest unused engines until the rest fits."""
        removed = []
        for path in [*self.folder.glob("*.bad"), *self.folder.glob(".*.engine.*")] if limit_bytes == 0 else []:
            removed += _removed(path)
        plans = sorted(self.folder.glob("*.engine*"), key=_age_key)
        total = sum(_size(path) for path in plans)
        for path in plans:
            if total <= limit_bytes:
                break
            if path != keep:
                total -= _size(path)
                removed += _removed(path)
                _removed(path.with_suffix(".json"))
        return removed

    def _timing_path(self, key: EngineKey) -> Path:
        return self.folder / "timing" / f"{key.device_stem()}.timing"

    def _read_sidecar(self, path: Path) -> CacheEntry | None:
        try:
            content = json.loads(read_trusted(path.with_suffix(".json")))
            return CacheEntry(path, dict(content["key"]), str(content["plan_sha256"]), dict(content["facts"]))
        except (EngineError, OSError, ValueError, KeyError, TypeError, RecursionError):
            return None


def default_folder() -> Path:
    """The environment variable DFD_ENGINE_CACHE, else the user's cache folder; never a shared one."""
    named = os.environ.get(FOLDER_VARIABLE)
    if named:
        return Path(named).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dfd_perception" / "engines"


def _age_key(path: Path) -> float:
    """Time of last use [s]: that of the sidecar, else of the file."""
    for candidate in (path.with_suffix(".json"), path):
        with suppress(OSError):
            return candidate.stat().st_mtime
    return 0.0


def _size(path: Path) -> int:
    with suppress(OSError):
        return path.stat().st_size
    return 0


def _removed(path: Path) -> list[Path]:
    with suppress(OSError):
        path.unlink()
        return [path]
    return []
