# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Of a repository cloned without git-lfs large files are texts of 130 bytes: every door says so."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from dfd_perception.bags.reader import BagReader
from dfd_perception.errors import DfdPerceptionError, reading
from dfd_perception.files.images import read_depth_m, read_image
from dfd_perception.files.model_folder import load_model_folder
from dfd_perception.groundtruth.sensors.recording_file import AzureKinectRecording

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"b" * 64 + b"\nsize 4012345\n"
TINY = Path(__file__).parents[1] / "assets/tiny_coc"


def pointer(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(POINTER)
    return path


def model_with(name: str, folder: Path) -> Path:
    shutil.copytree(TINY, folder)
    pointer(folder / name)
    return folder


def read_weights(path: Path) -> None:
    pytest.importorskip("torch")
    from dfd_perception.network.pretrained import read_torch_file

    read_torch_file(path)


@pytest.mark.parametrize(
    ("file", "read"),
    [
        ("weights.safetensors", lambda path: load_model_folder(model_with(path.name, path.parent / "model"))),
        ("model.onnx", lambda path: load_model_folder(model_with(path.name, path.parent / "model"))),
        ("encoder.pth", lambda path: read_weights(pointer(path))),
        ("encoder.safetensors", lambda path: read_weights(pointer(path))),
        ("bag.mcap", lambda path: BagReader(pointer(path))),
        ("bag.db3", lambda path: BagReader(pointer(path))),
        ("bag.mcap.zstd", lambda path: BagReader(pointer(path))),
        ("folder.mcap", lambda path: BagReader(pointer(path.parent / "bag" / path.name).parent)),
        ("recording.mkv", lambda path: AzureKinectRecording(pointer(path)).__enter__()),
        ("image.png", lambda path: read_image(pointer(path))),
        ("image.jpg", lambda path: read_image(pointer(path))),
        ("depth.npy", lambda path: read_depth_m(pointer(path))),
        ("depth.png", lambda path: read_depth_m(pointer(path))),
    ],
)
def test_a_pointer_of_git_lfs_is_called_one(tmp_path, file, read):
    with pytest.raises(DfdPerceptionError, match=rf"{file}: a pointer of git-lfs.*git lfs pull") as caught:
        read(tmp_path / file)
    assert "\n" not in str(caught.value)


def test_what_is_no_pointer_keeps_its_reason(tmp_path):
    path = tmp_path / "lens.yaml"
    path.write_text("version: 1")
    with pytest.raises(DfdPerceptionError, match="cannot be read \\(it is wrong\\)"), reading(path, DfdPerceptionError):
        raise ValueError("it is wrong")
