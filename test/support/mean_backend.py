# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""A backend that answers blur with the mean of the image: what `docs/add-a-backend.md` asks for, and no more."""

from __future__ import annotations

import numpy as np


class MeanBackend:
    name = "mean"

    def __init__(self, request):
        self.precision, self.device, self.details = request.precision, "CPU", {"runtime": "numpy"}
        self._outputs = request.output_names

    def run(self, image_1x3HxW, blur_log_prior=None):
        mean = np.full((1, 1, *image_1x3HxW.shape[2:]), image_1x3HxW.mean(), np.float32)
        answers = {"coc": mean, "coc_log_var": 0 * mean, "deblurred": image_1x3HxW}
        return {name: answers[name] for name in self._outputs}

    def close(self):
        pass
