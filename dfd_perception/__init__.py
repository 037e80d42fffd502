"""Depth from defocus: metric depth and a deblurred image from one defocused image.

Importing this package imports nothing heavy: no numpy, no torch, no ROS.
"""

from __future__ import annotations

from pathlib import Path


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
