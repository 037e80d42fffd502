# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Memory of a process whose messages are megabytes: what one frame gave back, the next one takes."""

from __future__ import annotations

import ctypes

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Of mallopt(3)."""

LARGEST_KEPT_BYTES = 32 << 20
"""Most that glibc takes for a threshold on 64 bits: buffers up to this size come from what the process holds."""
MOST_KEPT_BYTES = 64 << 20
"""Free memory beyond goes back to the system."""


def keep_freed_memory() -> bool:
    """Let glibc hand out freed buffers again rather than return each to the system; false where there is no mallopt.

    By itself it returns freed image buffers at once. The system must then zero and map every page of every message
    anew, which takes longer than all that is done with the message (getrusage counts it as minor page faults).
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another C library
        return False
    return bool(mallopt(M_MMAP_THRESHOLD, LARGEST_KEPT_BYTES)) and bool(mallopt(M_TRIM_THRESHOLD, MOST_KEPT_BYTES))
