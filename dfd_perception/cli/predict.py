# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Depth and a deblurred image from images.

Each image gives, as far as the model and the lens say it:

    STEM_depth.png, STEM_depth_color.png       uint16 millimetres (0: none); colours with a legend in metres
    STEM_std.png, STEM_std_color.png           one standard deviation of the depth, alike
    STEM_defocus.png, STEM_defocus_color.png   blur diameter: uint16 hundredths of a pixel; colours
    STEM_deblurred.png                         estimate of the all-in-focus image
    STEM_sheet.png                             all of them side by side
    STEM_points.ply                            with --ply: points in metres, coloured

An image may also be a folder, a pattern in quotes, or what has frames: a video file, a camera's number, or a URL that
OpenCV opens. Those give NAME_depth_color.mp4, NAME_defocus_color.mp4 and NAME_deblurred.mp4 (Ctrl-C ends a camera).

A model that measures blur needs the lens for depth, and the focal length in pixels: from the lens file
(focal_length_mm and pixel_pitch_um, of the images as they are) or by --fx.

dfd predict *.jpg --model 2hded-small --lens lens.yaml --fx 1250 --out results

Exit code 1: an image in which no pixel has depth; 2: a file that is no image. The others are done all the same.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dfd_perception.cli.predict_report import Done, finish, sheet_facts
from dfd_perception.core.size import Size, size_from_text
from dfd_perception.errors import ImageError, LensError, UsageError, counted, without_controls

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from dfd_perception.core.camera_info import ImageCamera
    from dfd_perception.media.source_image import ImageSource
    from dfd_perception.meter import Meter

ASSUMED_RATE_HZ = 15.0
"""Of the video that a camera without a rate of its own becomes."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `dfd predict`."""
    from dfd_perception.inference.backends.table import backend_choice

    parser.add_argument("images", nargs="+", metavar="IMAGE",
                        help="image files (jpg, png, tiff, ...), a folder, a pattern, a video, a camera's number, a URL"
                        )  # fmt: skip
    parser.add_argument("--frames", type=int, metavar="N", help="end a video or camera after so many frames")
    parser.add_argument("--model", default="2hded-small", metavar="M",
                        help="model folder by name or path (default: %(default)s)")  # fmt: skip
    parser.add_argument("--lens", type=Path, metavar="LENS.yaml", help="lens, for models that measure blur")
    parser.add_argument("--fx", type=float, metavar="PX", help="calibrated focal length [px] of the images")
    parser.add_argument(
        "--camera", type=Path, metavar="FILE", help="calibration of the camera (as ROS writes it), instead of --fx"
    )
    parser.add_argument(
        "--rectified", choices=("auto", "true", "false"), default="auto",
        help="with --camera: the images are rectified (fx of its projection matrix) or raw (of its camera "
        "matrix) (default: auto, by the file)",
    )  # fmt: skip
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for the results")
    parser.add_argument("--overwrite", action="store_true", help="replace results that OUT holds already")
    parser.add_argument("--input-size", metavar="HxW",
                        help="fit images into this size before the network (default: as they are)")  # fmt: skip
    parser.add_argument("--backend", **backend_choice())
    parser.add_argument("--min-m", type=float, default=0.0, metavar="M",
                        help="nearer depth is invalid [m] (default: 0)")  # fmt: skip
    parser.add_argument("--max-m", type=float, default=10.0, metavar="M",
                        help="farther depth is invalid [m] (default: 10)")  # fmt: skip
    parser.add_argument("--max-rel-std", type=float, default=0.0, metavar="S",
                        help="depth with a larger std is invalid, such as 0.2 for 20 %% (default: all)")  # fmt: skip
    parser.add_argument("--range", type=float, nargs=2, metavar=("NEAR", "FAR"), dest="range_m",
                        help="distances [m] that the colours span (default: fitted to each scene)")  # fmt: skip
    parser.add_argument("--ply", action="store_true", help="write the points too")
    parser.add_argument("--json", action="store_true", help="print what was written, and statistics, as JSON")


def run(args: argparse.Namespace) -> int:
    """Run the model on every image."""
    from tqdm import tqdm

    from dfd_perception.files.result_files import require_free

    _check(args)
    paths, moving = _sources(args.images)
    stems = _distinct_stems(paths)
    if not args.overwrite:
        for stem in stems:
            require_free(args.out, stem)
    logging.getLogger("dfd_perception.meter").setLevel(logging.ERROR)  # its notes are printed here, once
    meter = _meter(args)
    for note in meter.notes:
        print(f"note: {note}", file=sys.stderr)
    done: list[Done] = []
    failures: list[str] = []
    videos: list[dict[str, Any]] = []
    total = len(stems) + sum(len(source) for source in moving)
    with meter, tqdm(total=total, desc="predicting", unit="image", disable=not sys.stderr.isatty()) as bar:
        for name, stem, image in _images(paths):
            if isinstance(image, ImageError):
                failures.append(str(image))
                tqdm.write(f"dfd: {image}", file=sys.stderr)
            else:
                done.append(_predict(args, meter, name, stem, image))
                if not args.json:
                    tqdm.write(without_controls(f"{name}: {done[-1].summary.line()}"), file=sys.stdout)
            bar.update()
        for source in moving:
            videos.append(_predict_video(args, meter, source, bar.update))
            if not args.json:
                made = videos[-1]
                line = f"{made['source']}: {counted(made['frames'], 'frame')}; {', '.join(made['files'])}"
                tqdm.write(without_controls(line))
    return finish(args, meter, done, failures, videos)


def _sources(words: list[str]) -> tuple[list[Path], list[ImageSource]]:
    """Image files, and sources with frames; a word that is nothing counts as a file, which is then found missing."""
    from dfd_perception.media.files import files_of
    from dfd_perception.media.source import open_moving

    paths: list[Path] = []
    moving: list[ImageSource] = []
    for word in words:
        source = open_moving(word)
        if source is None:
            paths += files_of(word) or [Path(word)]
        else:
            moving.append(source)
    return paths, moving


def _predict_video(
    args: argparse.Namespace, meter: Meter, source: ImageSource, advance: Callable[[], object]
) -> dict[str, Any]:
    """Run the model on every frame; what is written stays when Ctrl-C ends it."""
    from itertools import islice

    from dfd_perception.media.result_video import ResultVideo

    range_m = None if args.range_m is None else (args.range_m[0], args.range_m[1])
    video = ResultVideo(args.out, source.name, source.rate_hz or ASSUMED_RATE_HZ, range_m, args.overwrite)
    try:
        for image in islice(source.images(), args.frames):
            video.add(meter(image.image_rgb))
            advance()
    except KeyboardInterrupt:
        if not source.live:
            raise
    finally:
        source.close()
        files = [str(path) for path in video.close()]
    return {"source": source.name, "frames": video.count, "files": files}


def _check(args: argparse.Namespace) -> None:
    if not 0 <= args.min_m < args.max_m:
        raise UsageError(f"--min-m {args.min_m:g} and --max-m {args.max_m:g}: expected 0 or more, the first smaller")
    if args.frames is not None and args.frames < 1:
        raise UsageError(f"--frames is {args.frames}; expected 1 or more")
    if args.max_rel_std < 0:
        raise UsageError(f"--max-rel-std is {args.max_rel_std:g}; expected 0 (keep all) or a share such as 0.2")
    if args.range_m and not 0 < args.range_m[0] < args.range_m[1]:
        raise UsageError(f"--range is {args.range_m[0]:g} {args.range_m[1]:g}; expected 0 < NEAR < FAR, in metres")
    if args.out.exists() and not args.out.is_dir():
        raise UsageError(f"--out {args.out} is a file; expected a folder, made if it is not there")


def _meter(args: argparse.Namespace) -> Meter:
    from dfd_perception.files.lens_file import read_lens
    from dfd_perception.meter import load

    lens = None if args.lens is None else read_lens(args.lens)
    camera = _camera(args)
    try:
        meter = load(
            args.model,
            lens,
            fx_px=args.fx if camera is None else camera.intrinsics.fx,
            backend=args.backend,
            min_m=args.min_m,
            max_m=args.max_m,
            max_rel_std=args.max_rel_std,
            input_size=None if args.input_size is None else size_from_text(args.input_size, "--input-size"),
        )
    except LensError as error:
        if args.lens is None:
            raise
        raise LensError(f"{args.lens}: {error}") from error
    if meter.model.card.target == "coc" and args.lens is None:
        name = meter.model.name
        if args.ply:
            raise UsageError(f"--ply needs depth, and model {name} measures blur; give its lens with --lens")
        note = f"no depth: model {name} measures blur; give its lens with --lens to turn blur into metres"
        meter.notes.append(note)
    if camera is not None:
        meter.notes += [camera.described(), *camera.notes]
    return meter


def _camera(args: argparse.Namespace) -> ImageCamera | None:
    """The calibrated camera of the images; None without --camera."""
    if args.camera is None:
        return None
    if args.fx is not None:
        raise UsageError("--fx and --camera both give the focal length; leave one out")
    from dfd_perception.core.camera_info import image_camera
    from dfd_perception.files.camera_file import read_camera_file

    info = read_camera_file(args.camera)
    for path in args.images:
        _require_size(path, (info.height, info.width))
    return image_camera(info, (info.height, info.width), rectified=args.rectified)


def _require_size(path: Path, size: Size) -> None:
    from dfd_perception.files.images import read_image

    try:
        shape = read_image(path).shape
    except ImageError:
        return  # told where it is predicted
    if shape[:2] != size:
        raise ImageError(
            f"{path}: image is {shape[1]} x {shape[0]} px, the calibration is for {size[1]} x {size[0]}; calibrate at "
            "the size in use"
        )


def _distinct_stems(paths: list[Path]) -> list[str]:
    seen: dict[str, Path] = {}
    for path in paths:
        if path.stem in seen:
            raise UsageError(f"{seen[path.stem]} and {path} would write the same files; give them separately")
        seen[path.stem] = path
    return list(seen)


def _images(paths: list[Path]) -> Iterator[tuple[str, str, NDArray[np.uint8] | ImageError]]:
    """Name for messages, stem of the results, and the image, or why there is none."""
    from dfd_perception.files.images import read_image

    for path in paths:
        try:
            yield str(path), path.stem, read_image(path)
        except ImageError as error:
            yield str(path), path.stem, error


def _predict(args: argparse.Namespace, meter: Meter, name: str, stem: str, image: NDArray[np.uint8]) -> Done:
    from dfd_perception.files.result_files import write_result

    result = meter(image)
    chosen = meter.estimator.compiled((image.shape[0], image.shape[1]), meter.heads).chosen
    files = write_result(
        args.out,
        stem,
        result,
        depth_range_m=None if args.range_m is None else (args.range_m[0], args.range_m[1]),
        facts=sheet_facts(meter, name, result),
        points=args.ply and result.summary().median_depth_m is not None,
    )
    return Done(name, [str(path) for path in files], result.summary(), chosen.backend.name, result.latency_s)
