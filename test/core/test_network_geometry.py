# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""The one pre-processing, and its inverse."""

from __future__ import annotations

import numpy as np
import pytest

from dfd_perception.core.network_geometry import Geometry
from dfd_perception.core.sensor import SensorNoise, encoded_from_linear, jpeg_round_trip, linear_from_encoded
from dfd_perception.errors import ImageError


def _image(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize("size", [(480, 640), (250, 251), (1, 40), (33, 31)])
def test_a_image_of_any_size_goes_in_and_comes_back(size: tuple[int, int]) -> None:
    geometry = Geometry.fitting(size)
    image = _image(*size)
    batch = geometry.to_network(image)
    assert batch.shape == (1, 3, *geometry.padded_size)
    assert batch.dtype == np.float32
    assert all(side % 32 == 0 for side in geometry.padded_size)
    np.testing.assert_array_equal(geometry.image_from_network(batch[0]), image)
    np.testing.assert_allclose(geometry.map_from_network(batch[0, 1]), image[..., 1] / 255, atol=1e-6)


@pytest.mark.parametrize("size", [(64, 96), (30, 40)])
def test_what_comes_back_is_its_own(size: tuple[int, int]) -> None:
    geometry = Geometry.fitting(size)
    plane, image = np.zeros(geometry.padded_size, np.float32), np.zeros((*geometry.padded_size, 3), np.uint8)
    assert not np.shares_memory(geometry.map_from_network(plane), plane)
    assert not np.shares_memory(geometry.image_from_network(image), image)


def test_padding_repeats_the_border() -> None:
    batch = Geometry.fitting((30, 30)).to_network(_image(30, 30))
    np.testing.assert_array_equal(batch[0, :, 31], batch[0, :, 29])


def test_fitting_keeps_the_aspect_and_says_the_scale() -> None:
    geometry = Geometry.fitting((720, 1280), (480, 640))
    assert geometry.network_size == (360, 640)
    assert geometry.scale == pytest.approx(0.5)
    assert geometry.to_network(_image(720, 1280)).shape == (1, 3, 384, 640)
    assert geometry.map_from_network(np.zeros((384, 640), np.float32)).shape == (720, 1280)
    assert geometry.map_from_network(np.zeros((384, 640), np.float32), (90, 160)).shape == (90, 160)


@pytest.mark.parametrize("size", [(0, 10), (10, 9000)])
def test_empty_and_huge_images_are_refused(size: tuple[int, int]) -> None:
    with pytest.raises(ImageError, match="expected 1 to 8192"):
        Geometry.fitting(size)


def test_a_image_of_another_shape_is_refused() -> None:
    with pytest.raises(ImageError, match="expected"):
        Geometry.fitting((10, 12)).to_network(_image(12, 10))


def test_light_and_encoding_are_inverse() -> None:
    values = np.linspace(0, 1, 50, dtype=np.float32)
    np.testing.assert_allclose(encoded_from_linear(linear_from_encoded(values)), values, atol=1e-5)
    assert linear_from_encoded(np.array([0.5]))[0] == pytest.approx(0.5**2.2)


def test_noise_has_the_variance_of_its_model() -> None:
    noise = SensorNoise(full_well_e=1000, read_noise=0.01)
    grey = np.full((400, 400), 0.5, np.float32)
    noisy = noise.added_to(grey, np.random.default_rng(0))
    assert noisy.mean() == pytest.approx(0.5, abs=1e-3)
    assert noisy.var() == pytest.approx(0.5 / 1000 + 0.01**2, rel=0.02)


def test_jpeg_keeps_channel_order() -> None:
    red = np.zeros((16, 16, 3), np.uint8)
    red[..., 0] = 200
    assert jpeg_round_trip(red, 95)[..., 0].mean() > 190


@pytest.mark.parametrize("size", [(6000, 6000), (8192, 8192), (2176, 3841)])
def test_an_input_that_no_memory_holds_is_refused_with_the_way_out(size):
    with pytest.raises(ImageError, match=r"8\.4 million at most.*input\.size, or --input-size"):
        Geometry.fitting(size)
    assert Geometry.fitting(size, (480, 640)).padded_size <= (480, 640)
    assert Geometry.fitting((2160, 3840)).padded_size == (2176, 3840), "4K is taken"
