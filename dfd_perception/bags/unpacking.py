# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""zstd and lz4 undone within bounds: a file of 98 kB must not become 3 GB of memory or disk.

`rosbags` unpacks a chunk of mcap before it looks at the size that the chunk states; its table of decompressors is
replaced by one that stops there.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from lz4.frame import LZ4FrameDecompressor
from rosbags.rosbag2 import storage_mcap
from rosbags.rosbag2.storage_mcap import zstd

from dfd_perception.errors import DatasetError

ZSTD_START = b"\x28\xb5\x2f\xfd"
"""A message begins with the encapsulation of CDR, 00, and can never be taken for it."""

MEGABYTE = 1_000_000
ALWAYS_UNPACKED_BYTES = 256 * MEGABYTE
LARGEST_RATIO = 100
"""Beyond the first 256 MB. Images shrink to a half or a tenth, depth to a thirtieth."""

KEPT_FREE_BYTES = 100 * MEGABYTE
STEP_BYTES = 1 << 20


def largest_unpacked(packed_bytes: int) -> int:
    """How many bytes so many packed ones may become."""
    return ALWAYS_UNPACKED_BYTES + LARGEST_RATIO * packed_bytes


def unpack_message(content: bytes) -> bytes:
    """Undo the compression of one message, if it has any.

    Raises:
        DatasetError: damaged, or of a size that no message has.
    """
    if content[:4] != ZSTD_START:
        return content
    limit = largest_unpacked(len(content))
    try:
        unpacked = _zstd_at_most(content, limit + 1)
    except zstd.ZstdError as error:
        raise DatasetError(f"a compressed message is damaged ({error})") from error
    if len(unpacked) > limit:
        raise DatasetError(f"a compressed message of {len(content)} bytes holds more than {limit // MEGABYTE} MB")
    return unpacked


def unpack_file(path: Path, scratch: Path) -> Path:
    """Undo the compression of a storage file; of one that is cut short, what is there.

    Args:
        path: NAME.mcap.zstd or NAME.db3.zstd.
        scratch: folder to unpack into.

    Raises:
        DatasetError: damaged, larger than it can be, or no room for it.
    """
    target = scratch / path.stem
    limit = largest_unpacked(path.stat().st_size)
    room = shutil.disk_usage(scratch).free - KEPT_FREE_BYTES
    written = 0
    try:
        with path.open("rb") as packed, zstd.open(packed, "rb") as source, target.open("wb") as out:
            while block := source.read(STEP_BYTES):
                written += len(block)
                if written > limit:
                    raise DatasetError(
                        f"{path}: {path.stat().st_size} bytes hold more than {limit // MEGABYTE} MB, which no "
                        "recording does; unpack it yourself (zstd -d) if you trust it"
                    )
                if written > room:
                    raise DatasetError(
                        f"{path}: no room to unpack it in {scratch.parent}; set TMPDIR to a folder on a larger disk"
                    )
                out.write(block)
    except EOFError:
        pass  # cut short: what was unpacked is read as far as it goes
    except zstd.ZstdError as error:
        if not written:
            raise DatasetError(f"{path}: cannot be unpacked ({error})") from error
        # damaged on the way: what came before it is read as of a file that was cut there
    return target


def unpack_chunk(packed: bytes, compression: str, size: int) -> bytes:
    """Undo the compression of a chunk of mcap, at most to the size that it states.

    Raises:
        DatasetError: of a size that no chunk has, or of another compression.
        Exception: what zstd and lz4 raise for damaged bytes.
    """
    if size > largest_unpacked(len(packed)):
        raise DatasetError(f"a chunk of {len(packed)} bytes states {size // MEGABYTE} MB, which no recording has")
    if compression == "zstd":
        return _zstd_at_most(packed, size + 1)
    if compression == "lz4":
        return LZ4FrameDecompressor().decompress(packed, max_length=size + 1)
    if compression == "":
        return packed
    raise DatasetError(f"chunk compression is {compression!r}; expected zstd, lz4 or none")


def _zstd_at_most(packed: bytes, largest: int) -> bytes:
    """All frames of a zstd stream, up to so many bytes; of one that is cut short, what is there."""
    parts, left = [], largest
    while packed and left > 0:
        frame = zstd.ZstdDecompressor()
        parts.append(frame.decompress(packed, max_length=left))
        left -= len(parts[-1])
        packed = frame.unused_data if frame.eof else b""
    return b"".join(parts)


storage_mcap.DECOMPRESSORS["zstd"] = lambda packed, size: unpack_chunk(packed, "zstd", size)
storage_mcap.DECOMPRESSORS["lz4"] = lambda packed, size: unpack_chunk(packed, "lz4", size)
