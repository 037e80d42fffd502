# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Publish a camera, a video, a stream or images as ROS 2 topics `image` and `camera_info`, where there is no driver.

dfd camera 0 --size 640x480 --rate 30         # the first camera
dfd camera 0 --calibration ost.yaml           # with the file that camera_calibration wrote
dfd camera rtsp://192.168.1.7/front --fx 620  # a stream
dfd camera clip.mp4 --loop --ros-args -r image:=/camera/image_raw -r camera_info:=/camera/camera_info

Without --calibration and --fx there is no camera_info: nobody knows the focal length.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from dfd_perception.cli.ros_arguments import add_ros_arguments
from dfd_perception.errors import counted


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `dfd camera`."""
    parser.add_argument(
        "source", nargs="+", metavar="SOURCE", help="camera's number, URL, video, or image files, a folder, a pattern"
    )
    parser.add_argument("--size", metavar="WxH", help="size to ask of the camera [px]")
    parser.add_argument(
        "--rate", type=float, metavar="HZ", help="images a second (default: the source's own; files: 1)"
    )
    parser.add_argument("--loop", action="store_true", help="start again at the end of a video or of the files")
    parser.add_argument(
        "--calibration", type=Path, metavar="FILE.yaml", help="calibration as camera_calibration writes it"
    )
    parser.add_argument("--fx", type=float, metavar="PX", help="focal length [px], where there is no calibration")
    parser.add_argument("--frame-id", default="camera_optical_frame", metavar="ID", help="(default: %(default)s)")
    add_ros_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Publish until the source ends, or interrupted."""
    from dfd_perception.core.size import size_from_text
    from dfd_perception.media.capture import CaptureRequest
    from dfd_perception.ros.tools.camera_publisher import CameraOptions, publish_source

    size = None if args.size is None else size_from_text(args.size, "--size", width_first=True)
    options = CameraOptions(
        rate_hz=args.rate, loop=args.loop, calibration=args.calibration, fx_px=args.fx, frame_id=args.frame_id
    )
    request = CaptureRequest(size=size, rate_hz=args.rate)
    count = publish_source(args.source, request, options, args.ros_args)
    print(f"{counted(count, 'image')} published")
    return 0
