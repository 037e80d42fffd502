# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Objects that are released at the end of a `with` block."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TypeVar

_Opened = TypeVar("_Opened", bound="Closing")


class Closing(ABC):
    """Something open, such as a file; `with` closes it, after an error too."""

    @abstractmethod
    def close(self) -> None:
        """Release it; a second time does nothing."""

    def __enter__(self: _Opened) -> _Opened:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
