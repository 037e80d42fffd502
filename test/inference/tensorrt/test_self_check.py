# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import pytest

from dfd_perception.inference.tensorrt.self_check import LIMITS, SelfCheckResult, check_engine, stored_frames

SIZE = (32, 64)


def network(frame):
    """Depth 1 to 4 m and an image, from the frame."""
    return {"depth": 1 + 3 * frame[:, :1], "deblurred": frame.copy()}


def test_the_frames_are_real_and_fill_any_size():
    for size in (SIZE, (480, 640), (640, 480), (32, 256)):
        frames = stored_frames(size)
        assert len(frames) == 4
        for frame in frames:
            assert frame.shape == (1, 3, *size)
            assert frame.dtype == np.float32
            assert frame.flags.c_contiguous
            assert 0 <= frame.min() < 0.2
            assert 0.5 < frame.max() <= 1
    assert not np.array_equal(frames[0], frames[1])


def test_equal_is_passed_and_fits_into_json():
    result = check_engine(network, network, stored_frames(SIZE), "fp16")
    assert result.passed
    assert (result.depth_abs_rel, result.aif_psnr_db, result.nonfinite, result.frames) == (0.0, 200.0, 0, 4)
    again = SelfCheckResult.from_facts({"self_check": json.loads(json.dumps(asdict(result)))})
    assert again == result


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
@pytest.mark.parametrize(("share", "passes"), [(0.8, True), (1.25, False)])
def test_the_limit_on_depth_is_the_limit(precision, share, passes):
    factor = np.float32(1 + share * LIMITS[precision].depth_abs_rel)
    result = check_engine(
        lambda frame: {"depth": network(frame)["depth"] * factor}, network, stored_frames(SIZE), precision
    )
    assert result.passed == passes
    assert result.depth_abs_rel == pytest.approx(share * LIMITS[precision].depth_abs_rel, rel=1e-3)
    assert result.aif_psnr_db is None


@pytest.mark.parametrize(("noise", "passes"), [(0.004, True), (0.008, False)])
def test_the_limit_on_the_image_is_the_limit(noise, passes):
    """fp16: 45 dB is a root mean square of 0.0056."""

    def noisy(frame):
        sign = np.where(np.indices(frame.shape).sum(0) % 2, 1, -1).astype(np.float32)
        return {"deblurred": frame + np.float32(noise) * sign}

    result = check_engine(noisy, network, stored_frames(SIZE), "fp16")
    assert result.passed == passes
    assert result.aif_psnr_db == pytest.approx(-20 * np.log10(noise), abs=0.01)


def test_blur_near_zero_is_compared_in_pixels():
    tiny = {"coc": np.full((1, 1, *SIZE), 1e-4, np.float32)}
    result = check_engine(lambda f: {"coc": tiny["coc"] * 2}, lambda f: tiny, stored_frames(SIZE), "fp16")
    assert result.passed


def test_nan_of_the_reference_is_no_pass():
    broken = {"depth": np.full((1, 1, *SIZE), np.nan, np.float32)}
    result = check_engine(network, lambda frame: {**network(frame), **broken}, stored_frames(SIZE), "fp16")
    assert not result.passed


def test_unknown_forms_of_a_result_are_no_result():
    assert SelfCheckResult.from_facts({}) is None
    assert SelfCheckResult.from_facts({"self_check": "passed"}) is None
    assert SelfCheckResult.from_facts({"self_check": {"passed": True}}) is None
