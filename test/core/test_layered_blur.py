# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""The layered simulator: invariants of a lens, and theory to two per cent."""

from __future__ import annotations

import numpy as np
import pytest

from dfd_perception.core.layered_blur import blur_layers, layer_edges
from dfd_perception.core.point_spread import DISK, GAUSSIAN, PointSpread
from dfd_perception.errors import ImageError, LensError

SHAPES = [DISK, GAUSSIAN, PointSpread(exponent=5), PointSpread(blades=6, rotation_rad=0.3)]


def _texture(height: int = 48, width: int = 64) -> np.ndarray:
    return np.random.default_rng(3).random((height, width, 3)).astype(np.float32)


def _sigma(kernel: np.ndarray) -> float:
    offset = np.arange(kernel.shape[0]) - kernel.shape[0] // 2
    return float(np.sqrt((kernel.sum(0) @ offset**2 + kernel.sum(1) @ offset**2) / 2))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("coc_px", [0.5, 1.3, 2.9, 7.7, 25.0])
def test_kernels_have_unit_energy_and_the_second_moment_of_the_disk(shape: PointSpread, coc_px: float) -> None:
    kernel = shape.kernel(coc_px)
    assert kernel.sum() == pytest.approx(1, abs=1e-5)
    assert _sigma(kernel) == pytest.approx(coc_px / 4, rel=0.02)


def test_ratio_of_sigma_to_blur_is_explicit() -> None:
    carvalho = PointSpread(exponent=2, sigma_per_coc=0.3)
    assert _sigma(carvalho.kernel(10)) == pytest.approx(3.0, rel=0.01)


def test_a_disk_is_flat_and_as_wide_as_its_blur() -> None:
    row = DISK.kernel(20)[DISK.kernel(20).shape[0] // 2]
    assert np.count_nonzero(row > 0.5 * row.max()) in (19, 20, 21)


@pytest.mark.parametrize("wrong", [{"exponent": 1.0}, {"sigma_per_coc": 0.0}, {"blades": 2}])
def test_impossible_shapes_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(LensError):
        PointSpread(**wrong)  # type: ignore[arg-type]


def test_a_constant_image_stays_constant_whatever_the_depth() -> None:
    beta = np.random.default_rng(0).uniform(-12, 20, (48, 64)).astype(np.float32)
    constant = np.full((48, 64, 3), 0.37, np.float32)
    np.testing.assert_allclose(blur_layers(constant, beta), constant, atol=1e-4)


def test_what_is_in_focus_is_untouched() -> None:
    image = _texture()
    np.testing.assert_allclose(blur_layers(image, np.zeros((48, 64), np.float32)), image, atol=1e-6)


@pytest.mark.parametrize("beta_px", [3.2, -6.0])
def test_a_plane_facing_the_camera_is_one_convolution(beta_px: float) -> None:
    import cv2

    image = _texture()
    expected = cv2.filter2D(image, -1, DISK.kernel(abs(beta_px)), borderType=cv2.BORDER_REPLICATE)
    result = blur_layers(image, np.full((48, 64), beta_px, np.float32))
    np.testing.assert_allclose(result, expected, atol=2e-3)


def test_light_is_neither_made_nor_lost_on_a_slanted_plane() -> None:
    beta = np.tile(np.linspace(2, 14, 64, dtype=np.float32), (48, 1))
    image = np.zeros((48, 64, 3), np.float32)
    image[20:28, 28:36] = 1
    assert blur_layers(image, beta).sum() == pytest.approx(image.sum(), rel=0.05)


def test_a_sharp_object_hides_the_blurred_background_behind_it() -> None:
    image = np.zeros((64, 64, 3), np.float32)
    image[:, :32] = 1.0
    beta = np.full((64, 64), 12.0, np.float32)
    beta[:, 32:] = 0.0
    result = blur_layers(image, beta)
    # The object keeps its edge, and its black does not bleed onto the bright background.
    np.testing.assert_allclose(result[:, 34:], 0, atol=1e-3)
    np.testing.assert_allclose(result[:, 24:31], 1, atol=0.02)


def test_a_blurred_object_spreads_over_the_sharp_background() -> None:
    image = np.zeros((64, 64, 3), np.float32)
    image[:, :32] = 1.0
    beta = np.full((64, 64), -10.0, np.float32)
    beta[:, 32:] = 0.0
    result = blur_layers(image, beta)[32, :, 0]
    assert 0.35 < result[32] < 0.65
    assert result[35] > 0.02
    assert result[40] == pytest.approx(0, abs=1e-3)


def test_blur_is_not_rounded_to_layers() -> None:
    """Two planes whose blur differs by less than a layer still come out different."""
    image = _texture()
    results = [blur_layers(image, np.full((48, 64), beta, np.float32)) for beta in (5.0, 5.2)]
    assert np.abs(results[0] - results[1]).max() > 1e-3


def test_missing_depth_counts_as_the_farthest() -> None:
    beta = np.full((48, 64), 6.0, np.float32)
    holes = beta.copy()
    holes[10:20, 10:20] = np.nan
    np.testing.assert_array_equal(blur_layers(_texture(), holes), blur_layers(_texture(), beta))


def test_shapes_that_differ_are_refused() -> None:
    with pytest.raises(ImageError, match=r"\(48, 64\).*\(48, 65\)"):
        blur_layers(_texture(), np.zeros((48, 65), np.float32))


def test_layers_cover_the_range_and_widen_with_blur() -> None:
    edges = layer_edges(-3.0, 25.0)
    assert edges[0] < -3
    assert edges[-1] >= 25
    assert np.all(np.diff(edges) >= 0.69)
    assert np.diff(edges)[-1] > 2
