# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""What is fuzzed: every reader of the package that takes what others wrote, each with something whole to begin with.

A target may refuse with an error of the package (DfdPerceptionError) and nothing else.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import cv2
import numpy as np

from dfd_perception.bags.reader import BagReader
from dfd_perception.core.compressed_depth import compressed_from_depth_m, depth_m_from_compressed
from dfd_perception.core.image_encoding import depth_m_from_image, rgb_from_compressed, rgb_from_image
from dfd_perception.evaluation.report.report_json import read_report
from dfd_perception.files.configuration import from_mapping, read_yaml, with_overrides
from dfd_perception.files.lens_file import read_lens
from dfd_perception.files.model_folder import ModelCard, load_model_folder
from dfd_perception.groundtruth.rig.rig_calibration import RigCalibration
from dfd_perception.groundtruth.sensors.recording_file import AzureKinectRecording
from dfd_perception.groundtruth.session import SessionDescription
from dfd_perception.groundtruth.session_index import read_index

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
    from_mapping(ModelCard, mapping, str(path))


def demo_bag() -> list[bytes]:
    return [(ROOT / "demo/scene_bag/scene_bag.mcap").read_bytes()]


def recordings() -> list[bytes]:
    data = os.environ.get("DFD_SHARED_DATA") or ROOT.parent / "shared/data"
    path = Path(data) / "kinect/recording.mkv"
    return [path.read_bytes()] if path.is_file() else []


def yaml_of(*names: str) -> Callable[[], list[bytes]]:
    return lambda: [path.read_bytes() for name in names for path in sorted(ROOT.glob(name))]


SESSION = {
    "format": 1, "created": "2026-01-01T00:00:00", "source": "rgbd_topics", "parts": ["depth", "image"], "counts": {},
    "settings": {},
}  # fmt: skip
INDEX = b"stem,device_ns,arrival_ns,ros_ns,image_ros_ns,offset_ms,valid_fraction\n000000,1,2,3,4,0.5,0.9\n"
REPORT = {"format": 1, "frames": 0, "answered": 0, "per_frame": [], "model": {}, "data": {"sources": []}}
LENS = b"focal_length_mm: 35\nf_number: 1.4\nfocus_distance_m: 0.6\npixel_pitch_um: 56.25\n"

TARGETS = {
    "image message": Target(lambda: [bytes(16) + IMAGE.tobytes()], read_image_message),
    "compressed image": Target(
        lambda: [encoded(".jpg"), encoded(".png")], lambda content, _: rgb_from_compressed(content, "jpeg")
    ),
    "compressed depth": Target(
        lambda: [compressed_from_depth_m(np.full((24, 32), 1.5, np.float32))[1]],
        lambda content, _: depth_m_from_compressed(content, "16UC1; compressedDepth png"),
    ),
    "compressed depth rvl": Target(
        lambda: [bytes(12) + np.array([32, 24], "<u4").tobytes() + bytes(range(256)) * 4],
        lambda content, _: depth_m_from_compressed(content, "16UC1; compressedDepth rvl"),
    ),
    "bag (mcap)": Target(demo_bag, read_bag),
    "recording (mkv)": Target(recordings, read_recording),
    "model.yaml": Target(yaml_of("models/*/model.yaml", "test/assets/*/model.yaml"), read_model),
    "recipe": Target(yaml_of("config/train/*.yaml"), read_recipe),
    "lens.yaml": Target(lambda: [LENS], text_file("lens.yaml", read_lens)),
    "calibration.yaml": Target(
        lambda: [b"format: 1\nsensor: {}\n"], text_file("calibration.yaml", RigCalibration.read)
    ),
    "session.json": Target(
        lambda: [json.dumps(SESSION).encode()],
        text_file("raw/session.json", lambda path: SessionDescription.read(path.parents[1])),
    ),
    "frames.csv": Target(lambda: [INDEX], text_file("frames.csv", read_index)),
    "report.json": Target(lambda: [json.dumps(REPORT).encode()], text_file("report.json", read_report)),
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
    rng = np.random.default_rng(seed)
    seeds = target.seeds()
    while seeds:
        yield spoilt(seeds[int(rng.integers(len(seeds)))], rng)
