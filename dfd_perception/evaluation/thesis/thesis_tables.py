# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""The tables of the thesis as printed, row by row, with what is known to contradict them.

S. Nazir, "Deep depth from defocus for near range and in-situ 3D exploration", National University for Science and
Technology Politehnica Bucharest: tables 2.1, 3.1, 4.2, 4.3 and 5.1.
"""

from __future__ import annotations

from dataclasses import dataclass, field

TEST_SPLITS = {
    "nyu-depth-v2": "test",
    "idfd": "test",
    "idfd-raw": "test",
    "rtf": None,
    "syndof": "val",
    "ded": "test",
}
"""Split of each data set that is tested on; None: all of it."""


@dataclass(frozen=True)
class ThesisRow:
    """One row. `key` names the model that would repeat it; None for the methods of others."""

    label: str
    figures: dict[str, float]
    """Figures as printed, by their name in the report ("section.name")."""
    key: str | None = None
    test: str | None = None
    """Kind of the data set that it is measured on."""


@dataclass(frozen=True)
class ThesisTable:
    """One table: its rows, how its figures have to be measured, and what is wrong with the printed ones."""

    number: str
    title: str
    columns: tuple[str, ...]
    rows: tuple[ThesisRow, ...]
    sharp_input: bool = False
    own_model_each: bool = False
    """Rows differ in training alone, so that no model may stand in two of them."""
    notes: tuple[str, ...] = field(default=())


def _columns(**sections: str) -> tuple[str, ...]:
    return tuple(f"{section}.{name}" for section, names in sections.items() for name in names.split())


def _rows(
    columns: tuple[str, ...], *rows: tuple[str, tuple[float, ...], str | None, str | None]
) -> tuple[ThesisRow, ...]:
    """Rows of (label, values, key, test); a row with fewer values than columns prints none of the last ones."""
    return tuple(
        ThesisRow(label, dict(zip(columns[: len(values)], values, strict=True)), key, test)
        for label, values, key, test in rows
    )


PROTOCOL_NOTE = (
    "No protocol is printed. The authors' code tests at 256 x 256, without crop, cap or mask, and takes the mean of "
    "per-image values; ours is measured so (protocol thesis-256), but at the scale that the model's card states. The "
    "field's own protocol is --protocol eigen-nyu."
)
SPLIT_NOTE = "iDFD has no published split; ours keeps each place in one split, so figures are not of the same images."
BLUR_NOTE = (
    "The lens of the NYU blur is not printed. Ours is the generator that the authors followed (Carvalho et al.: 15 mm, "
    "f/2.8, 5.6 um, focused at 2 m, sigma 0.3 of the blur), unless the model's card or --lens says otherwise."
)

COLUMNS_21 = _columns(depth="rmse_m abs_rel log10 delta1 delta2 delta3 kld")
COLUMNS_31 = _columns(depth="rmse_m abs_rel", deblurred="psnr_db ssim")
COLUMNS_42 = _columns(depth="rmse_m abs_rel delta1 delta2 delta3")
COLUMNS_43 = _columns(deblurred="psnr_db ssim input_psnr_db input_ssim")
COLUMNS_51 = _columns(defocus="mse mae", deblurred="psnr_db ssim")
NYU = "nyu-depth-v2"

TABLES = {
    table.number: table
    for table in (
        ThesisTable(
            "2.1",
            "Regularisers of the depth loss, NYU-Depth-V2, sharp images",
            COLUMNS_21,
            _rows(
                COLUMNS_21,
                ("none", (0.619, 0.159, 0.064, 0.786, 0.950, 0.986, 9.0091e3), "none", NYU),
                ("Hu", (0.555, 0.126, 0.054, 0.841, 0.967, 0.991, 7.2385e3), "hu", NYU),
                ("Eigen", (0.598, 0.143, 0.060, 0.812, 0.956, 0.988, 7.3216e3), "eigen", NYU),
                ("Ummenhofer", (0.582, 0.134, 0.058, 0.822, 0.963, 0.991, 7.2817e3), "ummenhofer", NYU),
                ("Xian", (0.559, 0.125, 0.054, 0.844, 0.968, 0.991, 7.1009e3), "xian", NYU),
                ("Godard (modified)", (0.575, 0.142, 0.057, 0.825, 0.961, 0.988, 7.1929e3), "godard", NYU),
            ),
            sharp_input=True,
            own_model_each=True,
            notes=(
                PROTOCOL_NOTE,
                "The printed KLD of 7e3 to 9e3 cannot come from equation 2.2 (it would need a sum of about 2^7000); "
                "ours is equation 2.2, of another magnitude. Only the order of the rows can be compared.",
            ),
        ),
        ThesisTable(
            "3.1",
            "2HDED:NET beside others, NYU-Depth-V2 with synthetic defocus",
            COLUMNS_31,
            _rows(
                COLUMNS_31,
                ("Carvalho et al.", (0.144, 0.036), None, None),
                ("Anwar et al.", (0.347, 0.094, 34.21), None, None),
                ("2HDED:NET", (0.244, 0.029, 34.85, 0.99), "nyu", NYU),
            ),
            notes=(
                PROTOCOL_NOTE,
                BLUR_NOTE,
                "Table 4.2 prints AbsRel 0.266 and RMSE 0.281 for the same network and data: nine times the AbsRel.",
                "The printed PSNR may be of one image: the text says 'for the same image'.",
            ),
        ),
        ThesisTable(
            "4.2",
            "Depth on NYU-Depth-V2 and iDFD, within and across data sets",
            COLUMNS_42,
            _rows(
                COLUMNS_42,
                ("NYU / NYU", (0.281, 0.266, 0.877, 0.942, 0.958), "nyu", NYU),
                ("NYU / iDFD", (0.401, 0.284, 0.759, 0.813, 0.839), "nyu", "idfd"),
                ("iDFD / iDFD (raw depth)", (0.312, 0.194, 0.727, 0.793, 0.807), "idfd-raw", "idfd-raw"),
                ("iDFD / iDFD (in-painted depth)", (0.248, 0.145, 0.799, 0.854, 0.959), "idfd", "idfd"),
            ),
            notes=(
                PROTOCOL_NOTE,
                BLUR_NOTE,
                SPLIT_NOTE,
                "Which depth NYU / iDFD was measured on is not said; ours takes the in-painted one.",
                "AbsRel 0.266 of NYU / NYU contradicts 0.029 in table 3.1.",
            ),
        ),
        ThesisTable(
            "4.3",
            "Deblurring on NYU-Depth-V2 and iDFD, within and across data sets",
            COLUMNS_43,
            _rows(
                COLUMNS_43,
                ("NYU, trained on NYU", (32.68, 0.91, 26.09, 0.49), "nyu", NYU),
                ("iDFD, trained on iDFD", (36.25, 0.99, 25.83, 0.51), "idfd", "idfd"),
                ("iDFD, trained on NYU", (30.09, 0.86), "nyu", "idfd"),
            ),
            notes=(
                PROTOCOL_NOTE,
                BLUR_NOTE,
                SPLIT_NOTE,
                "The printed gains on iDFD do not add up: 36.25 - 25.83 is 10.42 dB, not 10.43; "
                "SSIM 0.99 - 0.51 is 0.48, not 0.43.",
                "PSNR 32.68 on NYU contradicts 34.85 in table 3.1.",
            ),
        ),
        ThesisTable(
            "5.1",
            "Defocus maps without supervision, and deblurring",
            COLUMNS_51,
            _rows(
                COLUMNS_51,
                ("D'Andres et al., RTF", (0.094, 0.196, 25.42, 0.850), None, None),
                ("Lee et al., RTF", (0.172, 0.311, 24.03, 0.761), None, None),
                ("Ma et al., RTF", (0.098, 0.239, 26.08, 0.823), None, None),
                ("2HDED:NET, RTF (trained on DFD)", (0.205, 0.358, 25.08, 0.797), "dfd", "rtf"),
                ("2HDED:NET, SYNDOF", (0.374, 0.509, 31.74, 0.812), "syndof", "syndof"),
                ("2HDED:NET, iDFD", (0.350, 0.457, 34.08, 0.908), "idfd", "idfd"),
            ),
            notes=(
                PROTOCOL_NOTE,
                SPLIT_NOTE,
                "The printed MSE and MAE of defocus maps have no unit; the authors' script scales prediction and truth "
                "to [0, 1] each by itself. Ours are px^2 and px of the circle of confusion: do not compare their size.",
                "RTF states no unit of its defocus maps: no defocus figures of ours on it.",
                "iDFD has no true defocus map; ours follows from its depth and a lens given with --lens.",
                "SYNDOF as its generator writes it holds no all-in-focus image: no PSNR of ours.",
            ),
        ),
    )
}

SOURCES = {
    "nyu-depth-v2": (
        "NYU-Depth-V2, labelled part, https://cs.nyu.edu/~fergus/datasets/nyu_depth_v2.html",
        "nyu_depth_v2_labeled.mat and splits.mat",
    ),
    "idfd": (
        "iDFD, https://github.com/saqibnaziir/iDFD",
        "Data/Raw/inpainting/{Out_Of_Focus,All_In_Focus,Depth}/SCENE_INDEX.jpg|png",
    ),
    "idfd-raw": (
        "iDFD, https://github.com/saqibnaziir/iDFD",
        "Data/Raw/without_inpainting/{Out_Of_Focus,All_In_Focus,Depth}/SCENE_INDEX.jpg|png",
    ),
    "rtf": ("RTF, of D'Andres et al. 2016 (IEEE TIP 25:4), from its authors", "blurred/, sharp/ and gt/"),
    "syndof": (
        "SYNDOF, https://github.com/codeslake/SYNDOF (a generator: its output)",
        "image/STEM.png and blur_map/STEM.png",
    ),
}
"""Where a data set comes from, and the tree that is expected below ROOT/KIND."""
