# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Turn an Azure Kinect recording (.mkv) into a session, without SDK, display or Kinect.

The session holds the recording's depth and colour as they are, with the calibration of the device. Next: dfd register
SESSION, which brings the depth into the pixels of the colour camera.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from dfd_perception.errors import counted


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `dfd ingest`."""
    parser.add_argument("recording", type=Path, metavar="FILE.mkv", help="of k4arecorder, pyk4a or the SDK")
    parser.add_argument("--out", type=Path, required=True, metavar="SESSION", help="folder to make")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="take one capture of N (default: all)")
    parser.add_argument("--json", action="store_true", help="print the counts as JSON")


def run(args: argparse.Namespace) -> int:
    """Ingest; exit code 0 when every taken capture was written."""
    from tqdm import tqdm

    from dfd_perception.errors import ConfigError, DatasetError, RecordingError
    from dfd_perception.groundtruth.recorder import SessionRecorder
    from dfd_perception.groundtruth.rig.rig_calibration import FILE_NAME, RigCalibration
    from dfd_perception.groundtruth.sensors.recording_file import AzureKinectRecording
    from dfd_perception.groundtruth.sensors.rgbd_source import all_frames
    from dfd_perception.groundtruth.session import RecordedMoment, SessionDescription, SessionWriter, remove_unwritten

    if args.every < 1:
        raise ConfigError(f"--every is {args.every}; expected 1 or more")
    left_out = 0
    with AzureKinectRecording(args.recording) as source:
        rig = RigCalibration(sensor=source.calibration)
        parts = ("depth",) if rig.sensor.colour is None else ("depth", "colour")
        description = SessionDescription(
            source=source.name, parts=parts, notes={"serial_number": source.serial_number, "every": args.every}
        )
        texts = {FILE_NAME: rig.text(), "kinect_calibration.json": source.factory_calibration}
        recorder = SessionRecorder(SessionWriter(args.out, description, texts))
        try:
            for number, frame in enumerate(tqdm(all_frames(source), unit=" captures", disable=args.json or None)):
                if number % args.every:
                    continue
                colour = frame.colour_jpeg or frame.colour_rgb
                if "colour" in parts and colour is None:
                    left_out += 1
                    continue
                images = {"depth": frame.depth_mm} | ({"colour": colour} if "colour" in parts else {})
                if not recorder.offer(RecordedMoment(parts=images, stamps=frame.stamps), patiently=True):
                    break
        finally:
            done = recorder.stop({"without_colour": left_out, "damaged": source.damaged})
    if not done.written:
        remove_unwritten(args.out)
    if done.error:
        written = counted(done.written, "capture")
        kept = f"; {args.out} holds {written}: remove it before the next try" if done.written else ""
        raise RecordingError(f"{done.error}{kept}")
    if not done.written:
        raise DatasetError(f"{args.recording} holds no capture with all of {', '.join(parts)}; nothing to work with")
    counts = {"written": done.written, "without_colour": left_out, "damaged": source.damaged}
    if args.json:
        print(json.dumps(counts | {"session": str(args.out), "bytes": done.written_bytes}))
    else:
        print(f"{args.out}: {counted(done.written, 'capture')}, {done.written_bytes / 1e6:.1f} MB", end="")
        print(f"; left out {left_out} without colour, {source.damaged} damaged.", end=" ")
        print(f"Next: dfd register {args.out} (with --sharp, if dfd synthesize shall blur it)")
    return 0
