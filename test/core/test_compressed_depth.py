# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""compressedDepth of image_transport: PNG and RVL, integers and inverse depth, against an encoder after the paper."""

from __future__ import annotations

import contextlib
import struct

import numpy as np
import pytest

from dfd_perception.core.compressed_depth import depth_m_from_compressed
from dfd_perception.errors import ImageError
from support.compressed_depth import NO_QUANTISATION, png, rvl


def scene() -> np.ndarray:
    rng = np.random.default_rng(0)
    codes = rng.integers(400, 5000, (48, 64)).astype(np.uint16)
    codes[10:20, 5:40] = 0
    codes[rng.random(codes.shape) < 0.1] = 0
    codes[0, :3] = (65534, 1, 65535)
    return codes


@pytest.mark.parametrize(
    ("described", "pack"),
    [
        ("16UC1; compressedDepth png", png),
        ("16UC1; compressedDepth", png),
        ("16UC1; compressedDepth rvl", rvl),
        ("16UC1; compressedDepth png", lambda codes: png(codes) + bytes(4096)),
    ],
)
def test_millimetres_survive(described, pack):
    codes = scene()
    depth_m = depth_m_from_compressed(NO_QUANTISATION + pack(codes), described)
    expected = np.where((codes > 0) & (codes < 65535), codes * 1e-3, np.nan)
    np.testing.assert_allclose(depth_m, expected, rtol=1e-6)


def test_a_png_of_the_transport_for_images_is_depth_too():
    codes = scene()
    depth_m = depth_m_from_compressed(png(codes), "16UC1; png compressed ", 1 / 5000)
    np.testing.assert_allclose(depth_m[30, 30], codes[30, 30] / 5000, rtol=1e-6)


@pytest.mark.parametrize("pack", [png, rvl])
def test_inverse_depth_of_float_metres(pack):
    """As image_transport packs 32FC1: code = A / depth + B with A = q (q / max + 1), B = 1 - A / max."""
    metres = np.linspace(0.4, 9.5, 48 * 64, dtype=np.float32).reshape(48, 64)
    quality, farthest = 100.0, 10.0
    quant_a = quality * (quality + 1.0)
    quant_b = 1.0 - quant_a / farthest
    codes = np.clip(quant_a / metres + quant_b, 0, 65535).astype(np.uint16)
    codes[4, 4] = 0
    packed = struct.pack("<iff", 0, quant_a, quant_b) + pack(codes)
    depth_m = depth_m_from_compressed(packed, f"32FC1; compressedDepth {'png' if pack is png else 'rvl'}")
    assert np.isnan(depth_m[4, 4])
    known = np.isfinite(depth_m)
    assert known.sum() == depth_m.size - 1
    assert np.abs(depth_m[known] - metres[known]).max() < 0.01


@pytest.mark.parametrize(
    ("data", "described", "says"),
    [
        (b"", "16UC1; compressedDepth", "holds 0 bytes"),
        (NO_QUANTISATION + b"\xff\xd8\xff\xe0" + bytes(50), "16UC1; compressedDepth", "neither PNG nor RVL"),
        (NO_QUANTISATION + rvl(scene())[:400], "16UC1; compressedDepth rvl", "cut short|damaged"),
        (NO_QUANTISATION + struct.pack("<II", 1 << 20, 1 << 20), "16UC1; compressedDepth rvl", "million pixels"),
        (NO_QUANTISATION + png(scene())[:300], "16UC1; compressedDepth", "cut short"),
        (NO_QUANTISATION + png(scene().astype(np.uint8)), "16UC1; compressedDepth", "one channel of 16 bits"),
        (png(scene()), "32FC1; png compressed", "scale of the depth is lost"),
        (png(scene()), "rgb8; png compressed", "expected 16UC1 or 32FC1"),
        (struct.pack("<iff", 0, float("nan"), 1.0) + png(scene()), "32FC1; compressedDepth", "quantisation"),
    ],
)
def test_what_is_no_depth_is_refused(data, described, says):
    with pytest.raises(ImageError, match=says):
        depth_m_from_compressed(data, described)


def test_damaged_streams_are_refused_or_read():
    rng = np.random.default_rng(1)
    whole = bytearray(NO_QUANTISATION + rvl(scene()))
    for _ in range(200):
        damaged = bytearray(whole)
        for _ in range(4):
            damaged[int(rng.integers(12, len(damaged)))] = int(rng.integers(256))
        with contextlib.suppress(ImageError):
            depth_m_from_compressed(bytes(damaged), "16UC1; compressedDepth rvl")
