# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""The live source of `dfd calibrate-lens`: a topic whose camera sees a board that somebody moves."""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import TYPE_CHECKING

from dfd_perception.cli.calibrate_lens_sources import MeasuredImage, distorted, measured
from dfd_perception.errors import CalibrationError, UsageError, counted

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from dfd_perception.core.distortion import DistortedCamera
    from dfd_perception.groundtruth.rig.board import Board

MOVED = 0.02
"""Change of the board's distance that makes another image worth reading."""
INFO_WAIT_S = 5.0


def moved_images(args: argparse.Namespace, board: Board | None) -> Iterator[MeasuredImage]:
    """Images of a live topic each time that the board stands at another distance; Ctrl-C ends them, not the command."""
    import numpy as np

    last_m, seen = 0.0, 0
    print(f"move the board slowly through the working range; {args.seconds:g} s, or until Ctrl-C", file=sys.stderr)
    with _until_interrupted(args.seconds) as going:
        for number, (image, camera) in enumerate(_of_topic(args, going)):
            measured_image = measured(args, board, f"{args.live} {number}", image, None, camera)
            if measured_image.depth_m is None:
                seen += 1
                continue
            distance_m = float(np.nanmedian(measured_image.depth_m))
            if abs(distance_m - last_m) > MOVED * last_m:
                last_m = distance_m
                print(f"board at {distance_m:.2f} m", file=sys.stderr, flush=True)
                yield measured_image
    if not last_m:
        raise CalibrationError(
            f"the board ({args.board}) is seen in none of {counted(seen, 'image')} of {args.live}; is all of it in the "
            "image, in light, and no more blurred than its squares are wide?"
        )


def _of_topic(
    args: argparse.Namespace, going: Callable[[], bool]
) -> Iterator[tuple[NDArray[np.uint8], DistortedCamera | None]]:
    from dfd_perception.core.camera_info import image_camera
    from dfd_perception.ros.tools.live_images import live_images

    needs_info = args.fx is None and args.camera is None
    began_s = time.monotonic()
    for live in live_images(args.live, going, args.ros_args):
        if not needs_info:
            yield live.image_rgb, None
        elif live.camera_info is not None:
            size = (live.image_rgb.shape[0], live.image_rgb.shape[1])
            yield live.image_rgb, distorted(image_camera(live.camera_info, size, args.live))
        elif time.monotonic() - began_s > INFO_WAIT_S:
            raise UsageError(f"no camera_info beside {args.live}; give --camera FILE or --fx PX")


@contextlib.contextmanager
def _until_interrupted(duration_s: float) -> Iterator[Callable[[], bool]]:
    """A function that is True for `duration_s` or until the first Ctrl-C; a second Ctrl-C ends the program."""
    ended: list[int] = []
    end_s = time.monotonic() + duration_s

    def end(number: int, frame: FrameType | None) -> None:
        ended.append(number)
        signal.signal(signal.SIGINT, before)

    before = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, end)
    try:
        yield lambda: not ended and time.monotonic() < end_s
    finally:
        signal.signal(signal.SIGINT, before)
