# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Message classes by the names that bags and the ROS graph use."""

from __future__ import annotations

import importlib
from typing import Any

from dfd_perception.errors import DatasetError


def message_class(msgtype: str) -> Any:
    """The class of "sensor_msgs/msg/Image".

    Raises:
        DatasetError: this ROS installation does not have it.
    """
    package, _, name = msgtype.partition("/msg/")
    try:
        return getattr(importlib.import_module(f"{package}.msg"), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise DatasetError(f"message type {msgtype} is not installed here") from error
