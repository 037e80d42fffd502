# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Depth from defocus: metric depth and a deblurred image from one defocused image.

Examples:
    >>> import dfd_perception as dfd
    >>> meter = dfd.load("2hded-small", lens="lens.yaml")  # doctest: +SKIP
    >>> result = meter("image.jpg")  # doctest: +SKIP
    >>> result.depth_m, result.std_m, result.blur_px, result.deblurred, result.points()  # doctest: +SKIP

Importing this package imports nothing heavy: no numpy, no torch, no ROS.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dfd_perception.errors import DfdPerceptionError
    from dfd_perception.meter import CameraIntrinsics, DefocusCurve, LensDescription, Meter, Result, load

__all__ = (
    "CameraIntrinsics", "DefocusCurve", "DfdPerceptionError", "LensDescription", "Meter", "Result", "load",
)  # fmt: skip


# OpenCV reads it when it is imported: a TIFF or WebP that asks for gigabytes is refused by its own header.
# The number is core.image_header's, which cannot be imported from here.
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(1 << 26))


def _read_version() -> str:
    """Return the version stated in package.xml, the one place that states it.

    A checkout reads the file itself, so that a changed version is seen without a new installation; an installed package
    reads the metadata that setup.py made from it.
    """
    manifest = Path(__file__).resolve().parent.parent / "package.xml"
    if manifest.is_file():
        from xml.etree import ElementTree

        root = ElementTree.parse(manifest).getroot()
        if root.findtext("name") == "dfd_perception":
            return (root.findtext("version") or "").strip()
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("dfd_perception")
    except PackageNotFoundError:
        return "0+unknown"


__version__ = _read_version()


def __getattr__(name: str) -> Any:
    """Import a public name on its first use."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; public are {', '.join(__all__)}")
    from dfd_perception import meter

    value = getattr(meter, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
