# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""What `dfd doctor --data DIR` prints."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

from dfd_perception.errors import counted


def report_dataset(path: Path, as_json: bool) -> int:
    """Print what a data set holds and what is wrong with it; 1 when something is, 0 when not.

    Raises:
        DatasetError: not recognised, or it cannot be opened at all.
    """
    from dfd_perception.datasets.registry import describe_dataset

    summary = describe_dataset(path)
    if as_json:
        print(json.dumps(dataclasses.asdict(summary), indent=2))
        return 1 if summary.problems else 0
    print(f"{summary.path}: {summary.kind}, {counted(summary.frames, 'frame')}")
    print(f"  splits    {', '.join(f'{name} {count}' for name, count in summary.splits.items())}")
    print(f"  parts     {', '.join(summary.parts) or 'none readable'}")
    print(f"  size      {', '.join(f'{width} x {height}' for height, width in summary.sizes)}")
    if summary.depth_range_m is not None:
        print("  depth     {:.3f} to {:.3f} m".format(*summary.depth_range_m))
    for line in summary.depth_unit:
        print(f"            {line}")
    print(f"  checked   {summary.checked} of {counted(summary.frames, 'frame')} read whole")
    for problem in summary.problems:
        print(f"  !!  {problem}")
    if not summary.problems:
        print("  no problem found")
    return 1 if summary.problems else 0
