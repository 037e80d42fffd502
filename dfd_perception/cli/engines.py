# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""List and remove the TensorRT engines that were built on this machine.

Examples:
  dfd engines list                 # what there is, the last used first
  dfd engines prune                # remove all
  dfd engines prune --keep-mb 500  # remove the longest unused ones until 500 MiB are left
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dfd_perception.errors import UsageError, counted

if TYPE_CHECKING:
    from dfd_perception.inference.tensorrt.engine_cache import CacheEntry


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `dfd engines`."""
    parser.add_argument("action", choices=("list", "prune"), help="show what there is, or remove the longest unused")
    parser.add_argument("--cache", type=Path, metavar="DIR", help="folder of the engines (default: the user's cache)")
    parser.add_argument("--keep-mb", type=int, default=0, metavar="MIB",
                        help="prune: size that may stay [MiB] (default: 0)")  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """List or prune."""
    from dfd_perception.inference.tensorrt.engine_cache import EngineCache

    if args.keep_mb < 0:
        raise UsageError(f"--keep-mb is {args.keep_mb}; expected 0 or more")
    cache = EngineCache(args.cache)
    if args.action == "prune":
        removed = cache.prune(args.keep_mb << 20)
        names = [path.name for path in removed]
        words = "\n".join([*names, f"removed {counted(len(names), 'file')}"])
        print(json.dumps({"removed": names}) if args.json else words)
        return 0
    engines = [described(entry) for entry in cache.entries()]
    if args.json:
        print(json.dumps({"folder": str(cache.folder), "engines": engines}, indent=2))
        return 0
    print(f"{counted(len(engines), 'engine')} in {cache.folder}")
    for engine in engines:
        print(f"  {engine['file']}  {engine['mib']:.1f} MiB, used {engine['used']}")
        print(f"      {engine['gpu']}, TensorRT {engine['tensorrt']}, self-check {engine['self_check']}")
    return 0


def described(entry: CacheEntry) -> dict[str, Any]:
    """One engine as plain values."""
    from dfd_perception.inference.tensorrt.self_check import SelfCheckResult

    checked = SelfCheckResult.from_facts(entry.facts)
    status = entry.path.stat()
    used = time.strftime("%Y-%m-%d %H:%M", time.localtime(entry.sidecar.stat().st_mtime))
    return {
        "file": entry.path.name,
        "mib": round(status.st_size / 2**20, 1),
        "model": entry.facts.get("model", ""),
        "precision": entry.key["precision"],
        "heads": entry.key["heads"],
        "size": f"{entry.key['height']}x{entry.key['width']}",
        "gpu": entry.key["gpu_name"],
        "tensorrt": entry.key["library_version"],
        "used": used,
        "build_seconds": entry.facts.get("build_seconds"),
        "self_check": checked.summary() if checked is not None else "not made",
    }
