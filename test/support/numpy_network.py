# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Both networks in numpy and float64, from their tensors alone: nothing of the package, nothing of torch.

Maps are (C, H, W). Names of tensors are those of `weights.safetensors`.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

Array = np.ndarray
EPSILON = 1e-5
"""Of every batch normalisation."""


def convolved(x: Array, weight: Array, bias: Array | None = None, stride: int = 1, padding: int = 0) -> Array:
    """Cross-correlation; weight (out, in, k, k)."""
    out, _, k, _ = weight.shape
    x = np.pad(x, ((0, 0), (padding, padding), (padding, padding)))
    windows = np.lib.stride_tricks.sliding_window_view(x, (k, k), axis=(1, 2))[:, ::stride, ::stride]
    channels, height, width = windows.shape[:3]
    columns = windows.transpose(0, 3, 4, 1, 2).reshape(channels * k * k, height * width)
    y = (weight.reshape(out, -1).astype(np.float64) @ columns).reshape(out, height, width)
    return y if bias is None else y + bias[:, None, None]


def transposed(x: Array, weight: Array, bias: Array | None = None) -> Array:
    """4x4 transposed convolution, stride 2, padding 1: every pixel paints its kernel; weight (in, out, 4, 4)."""
    channels, height, width = x.shape
    canvas = np.zeros((weight.shape[1], 2 * height + 2, 2 * width + 2))
    flat = x.reshape(channels, -1)
    for row in range(4):
        for column in range(4):
            stamp = weight[:, :, row, column].T.astype(np.float64) @ flat
            canvas[:, row : row + 2 * height : 2, column : column + 2 * width : 2] += stamp.reshape(-1, height, width)
    y = canvas[:, 1:-1, 1:-1]
    return y if bias is None else y + bias[:, None, None]


def unshuffled(x: Array) -> Array:
    """2x2 pixels into channels, channel by channel: top left, top right, bottom left, bottom right."""
    parts = np.stack([x[:, row::2, column::2] for row in (0, 1) for column in (0, 1)], axis=1)
    return parts.reshape(-1, *parts.shape[2:])


def shuffled(x: Array) -> Array:
    """The way back."""
    channels, height, width = x.shape
    y = np.zeros((channels // 4, 2 * height, 2 * width))
    for index in range(4):
        y[:, index // 2 :: 2, index % 2 :: 2] = x[index::4]
    return y


def halved(x: Array) -> Array:
    """Mean of 2x2 pixels."""
    return (x[:, ::2, ::2] + x[:, 1::2, ::2] + x[:, ::2, 1::2] + x[:, 1::2, 1::2]) / 4


def relu(x: Array) -> Array:
    return np.maximum(x, 0)


def leaky(x: Array) -> Array:
    return np.where(x > 0, x, 0.2 * x)


def softmax(x: Array, axis: int) -> Array:
    e = np.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


def padded_to_32(x: Array) -> Array:
    return np.pad(x, ((0, 0), (0, -x.shape[1] % 32), (0, -x.shape[2] % 32)), mode="edge")


def mean_around(x: Array, reach: int) -> Array:
    """Mean of the (2 reach + 1)^2 pixels around each, of those that exist."""
    ones = np.ones((1, *x.shape[1:]))
    kernel = np.ones((1, 1, 2 * reach + 1, 2 * reach + 1))
    count = convolved(ones, kernel, padding=reach)
    return np.concatenate([convolved(plane[None], kernel, padding=reach) / count for plane in x])


def band_energies(image: Array) -> Array:
    """Image (3, H, W) in [-1, 1] to log energies of five octaves, near and wide, at 1/4 of the size."""
    grey = 8 * image.mean(0, keepdims=True)
    planes = []
    for level in range(5):
        grey = halved(grey) if level else grey
        detail = (grey - binomial(grey)) ** 2
        if level < 2:
            for _ in range(2 - level):
                detail = halved(detail)
        else:
            detail = enlarged(mean_around(detail, 1), 2 ** (level - 2))
        planes.append(detail)
    near = np.concatenate(planes)
    return np.log(np.concatenate([near, mean_around(near, 2)]) + 1e-3)


def binomial(maps: Array) -> Array:
    """Each map filtered by (1, 2, 1) / 4 along rows and columns, border pixels repeated."""
    kernel = np.outer((0.25, 0.5, 0.25), (0.25, 0.5, 0.25))[None, None]
    wide = np.pad(maps, ((0, 0), (1, 1), (1, 1)), mode="edge")
    return np.concatenate([convolved(plane[None], kernel) for plane in wide])


def enlarged(x: Array, factor: int) -> Array:
    """Bilinear, pixel centres kept, border pixels repeated."""
    for axis in (1, 2):
        length = x.shape[axis]
        place = np.clip((np.arange(factor * length) + 0.5) / factor - 0.5, 0, length - 1)
        low = np.minimum(place.astype(int), max(length - 2, 0))
        share = (place - low).reshape([-1 if i == axis else 1 for i in range(3)])
        x = (1 - share) * np.take(x, low, axis) + share * np.take(x, np.minimum(low + 1, length - 1), axis)
    return x


class NumpyNetwork:
    """What both networks share."""

    def __init__(self, tensors: Mapping[str, Array]) -> None:
        self.tensors = tensors

    def normalised(self, x: Array, name: str) -> Array:
        mean, var, weight, bias = (self.tensors[f"{name}.{part}"].astype(np.float64)[:, None, None]
                                   for part in ("running_mean", "running_var", "weight", "bias"))  # fmt: skip
        return (x - mean) / np.sqrt(var + EPSILON) * weight + bias

    def conv(self, x: Array, name: str, stride: int = 1, padding: int = 0) -> Array:
        return convolved(x, self.tensors[f"{name}.weight"], self.tensors.get(f"{name}.bias"), stride, padding)

    def up_block(self, x: Array, name: str) -> Array:
        x = transposed(x, self.tensors[f"{name}.conv1.weight"], self.tensors.get(f"{name}.conv1.bias"))
        x = relu(self.normalised(x, f"{name}.bn1"))
        return relu(self.normalised(self.conv(x, f"{name}.conv2", padding=1), f"{name}.bn2"))


class ThesisNetwork(NumpyNetwork):
    """2HDED:NET of chapter 3: DenseNet-121 with a stem of strided convolutions, two heads of five up-projections."""

    def __call__(self, image: Array) -> dict[str, Array]:
        """(3, H, W) in [0, 1] to depth (1, H, W) and deblurred (3, H, W)."""
        height, width = image.shape[1:]
        x = padded_to_32(2 * image.astype(np.float64) - 1)
        *skips, deepest = self.encoded(x)
        depth = self.head(skips, deepest, "upper_head")
        deblurred = np.clip((x + self.head(skips, deepest, "lower_head") + 1) / 2, 0, 1)
        return {"depth": depth[:, :height, :width], "deblurred": deblurred[:, :height, :width]}

    def encoded(self, x: Array) -> list[Array]:
        x = leaky(self.normalised(self.conv(x, "encoder.conv0", 2, 1), "encoder.norm0"))
        taps = [x]
        x = leaky(self.normalised(self.conv(x, "encoder.downconv0", 2, 1), "encoder.norm1"))
        for block, layers in enumerate((6, 12, 24, 16), start=1):
            for layer in range(1, layers + 1):
                name = f"encoder.denseblock{block}.denselayer{layer}"
                y = self.conv(relu(self.normalised(x, f"{name}.norm1")), f"{name}.conv1")
                y = self.conv(relu(self.normalised(y, f"{name}.norm2")), f"{name}.conv2", padding=1)
                x = np.concatenate([x, y])
            if block < 4:
                name = f"encoder.transition{block}"
                x = self.conv(relu(self.normalised(x, f"{name}.norm")), f"{name}.conv")
                taps.append(x)
                x = halved(x)
        return [*taps, leaky(self.normalised(x, "encoder.norm5"))]

    def head(self, skips: list[Array], x: Array, name: str) -> Array:
        x = self.up_block(x, f"{name}.blocks.0")
        for index, skip in enumerate(reversed(skips), start=1):
            x = self.up_block(np.concatenate([skip, x]), f"{name}.blocks.{index}")
        return self.conv(x, f"{name}.last_conv", padding=1)


class BlurMeter(NumpyNetwork):
    """`2hded-small` with target coc: a distribution over blur, and the deblurred image."""

    def __call__(self, image: Array, log_prior: Array | float = 0.0) -> dict[str, Array]:
        """(3, H, W) in [0, 1] to coc, coc_log_var (1, H, W) and deblurred (3, H, W)."""
        height, width = image.shape[1:]
        x = padded_to_32(2 * image.astype(np.float64) - 1)
        *skips, deepest = self.encoded(x)
        coc, log_var = self.upper(x, skips, deepest, log_prior)
        deblurred = np.clip((x + self.lower(skips, deepest) + 1) / 2, 0, 1)
        answers = {"coc": coc, "coc_log_var": log_var, "deblurred": deblurred}
        return {name: answer[:, :height, :width] for name, answer in answers.items()}

    def cbr(self, x: Array, name: str, stride: int = 1, padding: int = 1) -> Array:
        """Convolution, normalisation, ReLU."""
        return relu(self.normalised(self.conv(x, f"{name}.0", stride, padding), f"{name}.1"))

    def encoded(self, x: Array) -> list[Array]:
        x = self.cbr(unshuffled(x), "encoder.stem.1")
        fine = self.conv(self.cbr(x, "encoder.fine.layers.0"), "encoder.fine.layers.1", padding=1)
        x = relu(x + self.normalised(fine, "encoder.fine.layers.2"))
        taps = [x]
        x = self.cbr(x, "encoder.down", stride=2)
        for block, layers in enumerate((2, 4, 5, 4)):
            for layer in range(layers):
                x = np.concatenate([x, self.cbr(x, f"encoder.blocks.{block}.layers.{layer}")])
            x = self.cbr(x, f"encoder.blocks.{block}.transition", padding=0)
            taps.append(x)
            x = halved(x)
        return taps

    def upper(self, image: Array, skips: list[Array], x: Array, log_prior: Array | float) -> tuple[Array, Array]:
        half, quarter, eighth, sixteenth = skips
        energies = self.cbr(band_energies(image), "upper_head.energies.1", padding=0)
        x = np.concatenate([sixteenth, self.up_block(x, "upper_head.blocks.0")])
        x = np.concatenate([eighth, self.up_block(x, "upper_head.blocks.1"), halved(energies)])
        x = enlarged(self.cbr(x, "upper_head.up", padding=0), 2)
        merged = self.cbr(np.concatenate([quarter, x, energies]), "upper_head.merge")
        features = self.cbr(merged, "upper_head.refine")
        evidence = self.tensors.get("upper_head.evidence", 1.0)
        logits = evidence * self.conv(features, "upper_head.logits") + log_prior
        shares = softmax(logits, axis=0).mean((1, 2), keepdims=True)
        likelihood = softmax(logits + self.tensors.get("upper_head.image_prior", 0.0) * np.log(shares + 1e-3), axis=0)
        # 28 bins, even in u = asinh(c / 2) from 0 to 48 px; the reading is taken in u, its spread in pixels.
        levels = np.linspace(0, np.arcsinh(24), len(likelihood))
        reading = self.quantile(likelihood, levels)
        blur = 2 * np.sinh(reading)
        about = np.einsum("khw,khw->hw", likelihood, (2 * np.sinh(levels)[:, None, None] - blur) ** 2)
        moments = np.stack([reading, blur**2 + about])
        borders = self.cbr(unshuffled(half), "upper_head.borders.1", padding=0)
        guide = self.cbr(np.concatenate([borders, features]), "upper_head.guide")
        weights = softmax(self.conv(guide, "upper_head.weights").reshape(9, 4, *moments.shape[1:]), axis=0)
        reading, square = binomial(self.combined(moments, weights))
        mean, square = enlarged(np.stack([2 * np.sinh(reading), square]), 2)
        return mean[None], np.log(np.maximum(square - mean**2, 0) + 0.01)[None] + self.tensors["log_var_offset"]

    @staticmethod
    def quantile(likelihood: Array, levels: Array) -> Array:
        """Where 43 % of the distribution lie below, each bin's share (1 % at least) spread over it; 0 at least."""
        place, below = np.full(likelihood.shape[1:], -0.5), np.zeros(likelihood.shape[1:])
        for share in likelihood:
            place += np.clip((0.43 - below) / np.maximum(share, 0.01), 0, 1)
            below += share
        return np.maximum(place * levels[1], 0)

    @staticmethod
    def combined(maps: Array, weights: Array) -> Array:
        """Each of the 2x2 new pixels of an old one: its own convex combination of the 3x3 around that one."""
        channels, height, width = maps.shape
        padded = np.pad(maps, ((0, 0), (1, 1), (1, 1)), mode="edge")
        out = np.zeros((channels, 2 * height, 2 * width))
        for new in range(4):
            for near in range(9):
                row, column = near // 3, near % 3
                neighbour = padded[:, row : row + height, column : column + width]
                out[:, new // 2 :: 2, new % 2 :: 2] += weights[near, new] * neighbour
        return out

    def lower(self, skips: list[Array], x: Array) -> Array:
        half, quarter, eighth, sixteenth = skips
        for index, skip in enumerate((sixteenth, eighth, quarter)):
            x = np.concatenate([skip, self.up_block(x, f"lower_head.blocks.{index}")])
        x = transposed(x, self.tensors["lower_head.up.0.weight"])
        x = np.concatenate([half, relu(self.normalised(x, "lower_head.up.1"))])
        return shuffled(self.conv(self.cbr(x, "lower_head.merge"), "lower_head.last_conv", padding=1))
