# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""How far a run is: a bar with the time left on a terminal, a line now and then in a log file."""

from __future__ import annotations

import sys
import time
from collections import defaultdict
from collections.abc import Mapping

from tqdm import tqdm

SECONDS_BETWEEN_LINES = 30.0


class Progress:
    """Shows the share of the run that is over; silent in all processes but the first."""

    def __init__(self, name: str, done: float, shown: bool = True) -> None:
        self._shown = shown
        self._name = name
        self._first, self._started = done, time.monotonic()
        self._last_line = 0.0
        self._bar: tqdm | None = None
        if shown and sys.stderr.isatty():
            layout = "{desc} {percentage:3.0f}%|{bar}| {elapsed}<{remaining} {postfix}"
            self._bar = tqdm(total=1.0, initial=done, desc=name, bar_format=layout, file=sys.stderr)

    def update(self, done: float, step: int, loss: float, images_per_s: float) -> None:
        """Show a step."""
        if not self._shown:
            return
        figures = f"step {step}, loss {loss:.4g}, {images_per_s:.1f} images/s"
        if self._bar is not None:
            self._bar.set_postfix_str(figures, refresh=False)
            self._bar.update(max(0.0, min(done, 1.0) - self._bar.n))
        elif time.monotonic() - self._last_line >= SECONDS_BETWEEN_LINES:
            self._last_line = time.monotonic()
            self.write(f"{100 * done:.0f} %, {self._time_left(done)} left, {figures}")

    def write(self, line: str) -> None:
        """Say something without breaking the bar."""
        if self._shown:
            tqdm.write(f"{self._name}: {line}", file=sys.stderr)

    def close(self) -> None:
        """Leave the bar as it is."""
        if self._bar is not None:
            self._bar.close()

    def _time_left(self, done: float) -> str:
        made = done - self._first
        if made <= 0:
            return "unknown time"
        return tqdm.format_interval((time.monotonic() - self._started) * (1 - done) / made)


class StepMeans:
    """Means of what the steps said, and the images per second, since the last reset."""

    def __init__(self, images_per_step: int) -> None:
        self._images_per_step = images_per_step
        self._last = time.monotonic()
        self.reset()

    def reset(self) -> None:
        """Begin anew at the end of the last step."""
        self._sums: dict[str, float] = defaultdict(float)
        self._steps = 0
        self._started = self._last

    def add(self, values: Mapping[str, float]) -> None:
        """Take in a step that has just ended."""
        self._steps += 1
        self._last = time.monotonic()
        for name, value in values.items():
            self._sums[name] += value

    def mean(self, name: str) -> float:
        """Of one value over the steps."""
        return self._sums[name] / self._steps

    def means(self) -> dict[str, float]:
        """Of all values."""
        return {name: self.mean(name) for name in self._sums}

    @property
    def images_per_s(self) -> float:
        """Images of all processes."""
        return self._steps * self._images_per_step / (self._last - self._started)
