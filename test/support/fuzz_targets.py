# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""What is fuzzed: every reader of the package that takes what others wrote, each with something whole to begin with.

A target may refuse with an error of the package (DfdPerceptionError) and nothing else.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import NamedTuple

import cv2
import numpy as np
from rosbags.rosbag2.storage_mcap import zstd

from dfd_perception.bags.reader import BagReader
from dfd_perception.bags.writer import BagWriter
from dfd_perception.core.camera import CameraIntrinsics
from dfd_perception.core.camera_info import image_camera
from dfd_perception.core.compressed_depth import compressed_from_depth_m, depth_m_from_compressed
from dfd_perception.core.distortion import DistortedCamera, Distortion
from dfd_perception.core.image_encoding import depth_m_from_image, rgb_from_compressed, rgb_from_image
from dfd_perception.core.point_cloud import PointCloudBuilder
from dfd_perception.core.registration import RigidTransform
from dfd_perception.datasets.folder import read_description
from dfd_perception.errors import DfdPerceptionError
from dfd_perception.evaluation.report.report_json import read_report
from dfd_perception.evaluation.report.run_comparison import compare_reports
from dfd_perception.evaluation.suite.suite_file import read_suite
from dfd_perception.files.camera_file import read_camera_file
from dfd_perception.files.configuration import from_mapping, read_yaml, with_overrides
from dfd_perception.files.images import read_depth_m, read_image
from dfd_perception.files.lens_file import read_lens
from dfd_perception.files.model_folder import load_model_folder
from dfd_perception.groundtruth.rig.rig_calibration import RigCalibration
from dfd_perception.groundtruth.sensors.recording_file import AzureKinectRecording
from dfd_perception.groundtruth.sensors.rgbd_source import RgbdCalibration
from dfd_perception.groundtruth.session import SessionDescription
from dfd_perception.groundtruth.session_index import read_index
from dfd_perception.training.config import TrainConfig
from support.compressed_depth import NO_QUANTISATION, rvl

ROOT = Path(__file__).resolve().parents[2]
IMAGE = np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8)
ENCODINGS = (
    "rgb8", "bgra8", "mono16", "bayer_rggb8", "nv12", "yuv422_yuy2", "16UC1", "32FC1", "8UC3", "rgb8\0", "é" * 9999,
)  # fmt: skip


class Target(NamedTuple):
    """One reader: whole inputs to spoil, and what reads one."""

    seeds: Callable[[], list[bytes]]
    read: Callable[[bytes, Path], object]
    """Given the spoilt bytes and an empty folder."""


def encoded(kind: str, **settings: int) -> bytes:
    done, packed = cv2.imencode(kind, IMAGE)
    assert done
    return packed.tobytes()


def read_image_message(content: bytes, folder: Path) -> None:
    """The first bytes choose the fields, the others are the data."""
    head = np.frombuffer(content[:16].ljust(16, b"\0"), np.uint16)
    sizes = [0, 1, 24, 32, 8192, 2**31 - 1, int(head[0])]
    image = SimpleNamespace(
        height=sizes[head[1] % len(sizes)],
        width=sizes[head[2] % len(sizes)],
        encoding=ENCODINGS[head[3] % len(ENCODINGS)],
        is_bigendian=int(head[4] % 2),
        step=[0, 32, 96, 2**32 - 1, int(head[5])][head[6] % 5],
        data=content[16:],
    )
    (depth_m_from_image if head[7] % 2 else rgb_from_image)(image)


def read_bag(content: bytes, folder: Path, name: str = "bag.mcap") -> None:
    path = folder / name
    path.write_bytes(content)
    with BagReader(path) as bag:
        for _ in bag.messages(list(bag.topics)):
            pass


def read_described_bag(content: bytes, folder: Path) -> None:
    """A whole bag beside a spoilt description."""
    (folder / "metadata.yaml").write_bytes(content)
    (folder / "scene_bag.mcap").symlink_to(ROOT / "demo/scene_bag/scene_bag.mcap")
    with BagReader(folder) as bag:
        _ = bag.topics, bag.duration_s


def read_camera_info(content: bytes, folder: Path) -> None:
    """Numbers of every kind in K, D and P; sizes, binning and region out of the first bytes."""
    values = np.frombuffer(content[: len(content) // 8 * 8].ljust(400, b"\0"), np.float64)
    sizes = [int(size) % 2**32 for size in values[:8].view(np.uint64)]
    width, height = (32, 24) if sizes[0] % 2 else (sizes[1], sizes[2])
    models = ("", "plumb_bob", "rational_polynomial", "equidistant", "fisheye", "é" * 9999)
    info = SimpleNamespace(
        width=width, height=height, distortion_model=models[sizes[3] % len(models)],
        d=values[8 : 8 + sizes[4] % 15], k=values[23:32], p=values[32:44], binning_x=sizes[5] % 4, binning_y=sizes[6],
        roi=SimpleNamespace(x_offset=sizes[7], y_offset=0, width=sizes[1] % 3 * width // 2, height=0),
    )  # fmt: skip
    camera = image_camera(info, (height, width), ("image_raw", "image_rect")[sizes[0] % 2])
    camera.described()
    if width * height < 10_000:
        PointCloudBuilder(camera.intrinsics, camera.distortion).points(np.ones((height, width), np.float32), None)


def read_checkpoint(content: bytes, folder: Path) -> None:
    """By the two doors: of a run, and of somebody else's weights. torch only."""
    from dfd_perception.network.pretrained import published_weights, read_torch_file
    from dfd_perception.training.checkpointing import load_checkpoint

    path = folder / "last.pt"
    path.write_bytes(content)
    with contextlib.suppress(DfdPerceptionError):
        published_weights(read_torch_file(path))
    load_checkpoint(path)


def checkpoints() -> list[bytes]:
    """A checkpoint of a run as small as can be; none where there is no torch."""
    try:
        import torch
    except ImportError:
        return []
    file = io.BytesIO()
    torch.save({"step": 1, "network": {"decoder.d_block5.0.conv1.weight": torch.zeros(2, 3)}}, file)
    return [file.getvalue()]


def other_bags(*kinds: str) -> Callable[[], list[bytes]]:
    """The demo's first messages in the other storage, or packed."""

    def seeds() -> list[bytes]:
        with TemporaryDirectory() as scratch:
            found = []
            for kind in kinds:
                path = Path(scratch) / kind
                with BagReader(ROOT / "demo/scene_bag") as bag, BagWriter(path, "sqlite3") as copy:
                    for raw in itertools.islice(bag.raw_messages(list(bag.topics)), 12):
                        copy.write(raw.topic, raw.msgtype, raw.stamp_ns, raw.content)
                content = next(path.glob("*.db3")).read_bytes()
                found.append(zstd.compress(content) if kind == "packed" else content)
            return found

    return seeds


def read_recording(content: bytes, folder: Path) -> None:
    path = folder / "recording.mkv"
    path.write_bytes(content)
    with AzureKinectRecording(path) as recording:
        _ = recording.calibration
        for _ in range(3):
            if recording.read(0.1) is None:
                break


def text_file(name: str, read: Callable[[Path], object]) -> Callable[[bytes, Path], object]:
    def run(content: bytes, folder: Path) -> object:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return read(path)

    return run


def read_model(content: bytes, folder: Path) -> None:
    (folder / "model.yaml").write_bytes(content)
    for name in ("weights.safetensors", "model.onnx"):
        (folder / name).symlink_to(ROOT / "test/assets/tiny_coc" / name)
    load_model_folder(folder)


def read_recipe(content: bytes, folder: Path) -> None:
    path = folder / "recipe.yaml"
    path.write_bytes(content)
    mapping = read_yaml(path)
    with_overrides(mapping, ["seed=1"])
    from_mapping(TrainConfig, mapping, str(path))


def demo_bag() -> list[bytes]:
    return [(ROOT / "demo/scene_bag/scene_bag.mcap").read_bytes()]


def recordings() -> list[bytes]:
    data = os.environ.get("DFD_SHARED_DATA") or ROOT.parent / "shared/data"
    path = Path(data) / "kinect/recording.mkv"
    return [path.read_bytes()] if path.is_file() else []


def yaml_of(*names: str) -> Callable[[], list[bytes]]:
    return lambda: [path.read_bytes() for name in names for path in sorted(ROOT.glob(name))]


SESSION = {
    "format": 1, "started_ns": 1_700_000_000_000_000_000, "source": "rgbd_topics", "parts": ["depth", "image"],
    "counts": {}, "notes": {},
}  # fmt: skip
INDEX = b"stem,device_ns,arrival_ns,ros_ns,offset_ms,valid_fraction\n0001700000000000000,1,2,3,0.5,0.9\n"
FRAMES = [{"unit": "bag", "index": index, "depth": {"rmse_m": 0.1 + 0.01 * index}} for index in range(4)]
REPORT = {"format": 1, "frames": 4, "answered": 4, "per_frame": FRAMES, "model": {}, "data": {"sources": []}}
LENS = b"focal_length_mm: 35\nf_number: 1.4\nfocus_distance_m: 0.6\npixel_pitch_um: 56.25\n"

DATASET = b"""format: 1
lens: {focal_length_mm: 35.0, f_number: 1.4, focus_distance_m: 0.6}
camera: {fx: 525.0, fy: 525.0, cx: 319.5, cy: 239.5, width: 640, height: 480}
depth_unit_m: 0.001
"""
CAMERA = b"""image_width: 640
image_height: 480
camera_name: camera
camera_matrix: {rows: 3, cols: 3, data: [525.0, 0, 319.5, 0, 525.0, 239.5, 0, 0, 1]}
distortion_model: plumb_bob
distortion_coefficients: {rows: 1, cols: 5, data: [0.1, -0.2, 0, 0, 0]}
rectification_matrix: {rows: 3, cols: 3, data: [1, 0, 0, 0, 1, 0, 0, 0, 1]}
projection_matrix: {rows: 3, cols: 4, data: [525.0, 0, 319.5, 0, 0, 525.0, 239.5, 0, 0, 0, 1, 0]}
"""


def camera_info(model: int) -> bytes:
    """As `read_camera_info` takes it apart: a camera of 32 x 24 px, five terms of distortion, no binning, no region."""
    sizes = np.array([1, 0, 0, model, 5, 0, 0, 0], np.uint64).view(np.float64)
    terms = [0.1, -0.05, 0.001, 0.001, 0.0, *[0.0] * 10]
    k, p = [30.0, 0, 15.5, 0, 30, 11.5, 0, 0, 1], [28.0, 0, 15.5, 0, 0, 28, 11.5, 0, 0, 0, 1, 0]
    return np.concatenate([sizes, terms, k, p, np.zeros(6)]).tobytes()


def calibration() -> bytes:
    """A whole one, of both cameras."""
    intrinsics = CameraIntrinsics(width=64, height=48, fx=60.0, fy=60.0, cx=31.5, cy=23.5)
    camera = DistortedCamera(intrinsics=intrinsics, distortion=Distortion.from_coefficients([0.1, -0.05, 0, 0, 0]))
    sensor = RgbdCalibration(camera, camera, RigidTransform.identity())
    return RigCalibration(sensor=sensor, camera=camera, camera_from_depth=RigidTransform.identity()).text().encode()


def depth_png() -> bytes:
    return cv2.imencode(".png", np.full((24, 32), 1500, np.uint16))[1].tobytes()


def depth_npy() -> bytes:
    file = io.BytesIO()
    np.save(file, np.full((24, 32), 1.5, np.float32))
    return file.getvalue()


def read_depth_files(content: bytes, folder: Path) -> None:
    """By the suffix that the bytes begin like."""
    path = folder / ("depth.npy" if content[1:4] == b"NUM" else "depth.png")
    path.write_bytes(content)
    read_depth_m(path, (24, 32))


TARGETS = {
    "image message": Target(
        lambda: [np.array([0, 2, 3, 0, 0, 0, 2, 0], np.uint16).tobytes() + IMAGE.tobytes()], read_image_message
    ),
    "compressed image": Target(
        lambda: [encoded(".jpg"), encoded(".png")], lambda content, _: rgb_from_compressed(content, "jpeg")
    ),
    "compressed depth": Target(
        lambda: [compressed_from_depth_m(np.full((24, 32), 1.5, np.float32))[1]],
        lambda content, _: depth_m_from_compressed(content, "16UC1; compressedDepth png"),
    ),
    "compressed depth rvl": Target(
        lambda: [NO_QUANTISATION + rvl(IMAGE[..., 0].astype(np.uint16) * 20)],
        lambda content, _: depth_m_from_compressed(content, "16UC1; compressedDepth rvl"),
    ),
    "bag (mcap)": Target(demo_bag, read_bag),
    "bag (sqlite3)": Target(other_bags("plain"), lambda content, folder: read_bag(content, folder, "bag.db3")),
    "bag (packed)": Target(other_bags("packed"), lambda content, folder: read_bag(content, folder, "bag.db3.zstd")),
    "metadata.yaml": Target(yaml_of("demo/scene_bag/metadata.yaml"), read_described_bag),
    "camera_info": Target(
        lambda: [camera_info(0), camera_info(3)], read_camera_info
    ),
    "image file": Target(
        lambda: [encoded(".jpg"), encoded(".png"), encoded(".tiff")], text_file("image.png", read_image)
    ),
    "depth file": Target(lambda: [depth_png(), depth_npy()], read_depth_files),
    "checkpoint": Target(checkpoints, read_checkpoint),
    "dataset.yaml": Target(
        lambda: [DATASET], text_file("set/dataset.yaml", lambda path: read_description(path.parent))
    ),
    "suite.yaml": Target(yaml_of("benchmarks/accuracy.yaml"), text_file("suite.yaml", read_suite)),
    "camera.yaml": Target(lambda: [CAMERA], text_file("camera.yaml", read_camera_file)),
    "recording (mkv)": Target(recordings, read_recording),
    "model.yaml": Target(yaml_of("test/assets/tiny_coc/model.yaml"), read_model),
    "recipe": Target(yaml_of("config/train/*.yaml"), read_recipe),
    "lens.yaml": Target(lambda: [LENS], text_file("lens.yaml", read_lens)),
    "calibration.yaml": Target(
        lambda: [calibration()], text_file("calibration.yaml", RigCalibration.read)
    ),
    "session.json": Target(
        lambda: [json.dumps(SESSION).encode()],
        text_file("raw/session.json", lambda path: SessionDescription.read(path.parents[1])),
    ),
    "frames.csv": Target(lambda: [INDEX], text_file("frames.csv", read_index)),
    "report.json": Target(lambda: [json.dumps(REPORT).encode()], text_file("report.json", read_report)),
    "reports to compare": Target(
        lambda: [json.dumps(REPORT).encode()], text_file("report.json", lambda path: compare_reports([path, path]))
    ),
}

TOKENS = (
    b"\0", b"\xff", b"\xff" * 8, b"\x7f\xff\xff\xff", b"\x80\0\0\0", b"nan", b".inf", b"-1", b"0", b"1e400",
    b"9" * 5000,
    b"[" * 3000, b"{" * 3000, b"!!bool x", b"2024-13-45", b"&a [*a]", b"~", b"true", b'"', b"'", b":", b"\n", b"\r\n",
    b"../../etc/passwd", "é\N{GRINNING FACE}".encode(),
)  # fmt: skip


def spoilt(seed: bytes, rng: np.random.Generator) -> bytes:
    """The seed with one to eight changes: bytes flipped, parts cut, doubled, moved, tokens put in, or its end lost."""
    content = bytearray(seed)
    for _ in range(int(rng.integers(1, 9))):
        if not content:
            break
        # Headers are where formats are decided: half of all changes fall into the first 256 bytes.
        reach = min(len(content), 256) if rng.random() < 0.5 else len(content)
        at = int(rng.integers(reach))
        length = int(min(2 ** rng.integers(0, 9), len(content) - at))
        kind = int(rng.integers(6))
        if kind == 0:
            content[at] ^= 1 << int(rng.integers(8))
        elif kind == 1:
            del content[at : at + length]
        elif kind == 2:
            content[at:at] = content[at : at + length]
        elif kind == 3:
            token = TOKENS[int(rng.integers(len(TOKENS)))]
            content[at : at + (len(token) if rng.random() < 0.5 else 0)] = token
        elif kind == 4:
            content[at : at + length] = rng.integers(0, 256, length, np.uint8).tobytes()
        elif rng.random() < 0.3:
            del content[at:]
    return bytes(content)


def inputs(target: Target, seed: int) -> Iterator[bytes]:
    """Endless spoilt inputs of a target; the same for the same seed."""
    seeds = target.seeds()  # at once: to import torch for a checkpoint takes seconds that are not the reader's
    rng = np.random.default_rng(seed)
    endless = itertools.count() if seeds else ()
    return (spoilt(seeds[int(rng.integers(len(seeds)))], rng) for _ in endless)
