# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Write the tiny models that the tests run: real networks of the small variant, eight channels wide, random weights.

    python test/assets/make_tiny_models.py

They say nothing true about pictures; they exercise every file and backend in a second, also where there is no torch.
"""

from __future__ import annotations

from pathlib import Path

import torch

from dfd_perception.core.optics import Lens
from dfd_perception.files.model_folder import FileHash, ModelCard, TrainedRange
from dfd_perception.network import create_network
from dfd_perception.network.checkpoint import save_model

HERE = Path(__file__).resolve().parent
OPTIONS = {
    "encoder": {"stem": 8, "down": 8, "widths": [8, 8, 8, 8], "layers": [1, 1, 1, 1], "growth": 8, "fine": 8},
    "upper_widths": [8, 8, 8, 8],
    "lower_widths": [8, 8, 8, 8, 8],
}
LENS = Lens(focal_length_mm=35, f_number=1.4, focus_distance_m=0.6, pixel_pitch_um=56.25)


def main() -> None:
    for target in ("coc", "depth"):
        torch.manual_seed(0)
        network = create_network("2hded-small", target, **OPTIONS).eval()
        # So deep a stack of random layers says almost the same everywhere: make it say something.
        network.lower_head.last_conv.weight.data *= 10
        if target == "coc":
            network.upper_head.logits.weight.data *= 300
            network.upper_head.logits.bias.data.zero_()
        else:
            network.upper_head.last_conv.weight.data *= 10
            network.upper_head.last_conv.bias.data.fill_(1.0)
        card = ModelCard(
            variant="2hded-small",
            target=target,
            options=OPTIONS,
            trained=TrainedRange(
                input_size=(64, 64),
                coc_px=(0, 27) if target == "coc" else None,
                gain_px_per_dioptre=(3, 30) if target == "coc" else None,
                depth_m=(0.5, 3.0) if target == "depth" else None,
            ),
            weights=FileHash(file="", sha256=""),
            lens=LENS if target == "depth" else None,
            training={"data": "none: random weights, seed 0, for tests only"},
        )
        folder = HERE / f"tiny_{target}"
        save_model(network, folder, card)
        print(folder, sum(p.stat().st_size for p in folder.iterdir()), "bytes")


if __name__ == "__main__":
    main()
