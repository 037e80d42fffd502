# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""The camera_info that belongs to an image: the one of its stamp, else the newest (lenses rarely change between)."""

from __future__ import annotations

import threading
from collections import OrderedDict

from sensor_msgs.msg import CameraInfo
from std_msgs.msg import Header

from dfd_perception.core.stamps import header_stamp_ns

KEPT = 10


class CameraInfoBuffer:
    """The last few camera_infos by stamp; written by the executor's thread, read by the worker."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._infos: OrderedDict[int, CameraInfo] = OrderedDict()

    def add(self, info: CameraInfo) -> None:
        """Remember one."""
        with self._lock:
            self._infos[header_stamp_ns(info.header)] = info
            self._infos.move_to_end(header_stamp_ns(info.header))
            while len(self._infos) > KEPT:
                self._infos.popitem(last=False)

    def for_image(self, header: Header) -> CameraInfo | None:
        """The one of the image's stamp, else the newest; None before the first."""
        with self._lock:
            exact = self._infos.get(header_stamp_ns(header))
            if exact is None and self._infos:
                exact = next(reversed(self._infos.values()))
            return exact

    def keep_newest(self) -> None:
        """Forget all but the one that came last: time jumped. A latched one will not come again."""
        with self._lock:
            while len(self._infos) > 1:
                self._infos.popitem(last=False)
