# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""The shape of the blur that a command gives to sharp images."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dfd_perception.core.point_spread import PointSpread


def add_point_spread(parser: argparse._ActionsContainer) -> None:
    """Declare --psf and --sigma-per-coc."""
    parser.add_argument("--psf", choices=("disk", "gaussian"), default="disk",
                        help="shape of the blur given to sharp images (default: disk)")  # fmt: skip
    parser.add_argument(
        "--sigma-per-coc", type=float, default=0.25, metavar="R",
        help="its standard deviation over its diameter (default: 0.25, a disk's; Carvalho: 0.3)",
    )  # fmt: skip


def point_spread_of(args: argparse.Namespace) -> PointSpread:
    """What the two options say.

    Raises:
        LensError: a standard deviation that cannot be.
    """
    from dfd_perception.core.point_spread import PointSpread

    exponent = 2.0 if args.psf == "gaussian" else float("inf")
    return PointSpread(exponent=exponent, sigma_per_coc=args.sigma_per_coc)
