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

DEPTH_21 = ("rmse_m", "abs_rel", "log10", "delta1", "delta2", "delta3", "kld")
DEPTH_42 = ("rmse_m", "abs_rel", "delta1", "delta2", "delta3")


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
    notes: tuple[str, ...] = field(default=())


def _named(section: str, names: tuple[str, ...], *values: float) -> dict[str, float]:
    return {f"{section}.{name}": value for name, value in zip(names, values, strict=True)}


def _columns(section: str, names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"{section}.{name}" for name in names)


def _regulariser(label: str, key: str, *values: float) -> ThesisRow:
    return ThesisRow(label, _named("depth", DEPTH_21, *values), key, "nyu-depth-v2")


PROTOCOL_NOTE = (
    "No protocol is printed. The authors' code tests at 256 x 256, without crop, cap or mask, and takes the mean of "
    "per-image values; ours is measured so (protocol thesis-256). The field's own protocol is --protocol eigen-nyu."
)
SPLIT_NOTE = "iDFD has no published split; ours keeps each place in one split, so figures are not of the same pictures."
BLUR_NOTE = (
    "The lens of the NYU blur is not printed. Ours is the generator that the authors followed (Carvalho et al.: 15 mm, "
    "f/2.8, 5.6 um, focused at 2 m, sigma 0.3 of the blur), unless --lens says otherwise."
)

TABLES = {
    table.number: table
    for table in (
        ThesisTable(
            "2.1",
            "Regularisers of the depth loss, NYU-Depth-V2, sharp pictures",
            _columns("depth", DEPTH_21),
            (
                _regulariser("none", "none", 0.619, 0.159, 0.064, 0.786, 0.950, 0.986, 9.0091e3),
                _regulariser("Hu", "hu", 0.555, 0.126, 0.054, 0.841, 0.967, 0.991, 7.2385e3),
                _regulariser("Eigen", "eigen", 0.598, 0.143, 0.060, 0.812, 0.956, 0.988, 7.3216e3),
                _regulariser("Ummenhofer", "ummenhofer", 0.582, 0.134, 0.058, 0.822, 0.963, 0.991, 7.2817e3),
                _regulariser("Xian", "xian", 0.559, 0.125, 0.054, 0.844, 0.968, 0.991, 7.1009e3),
                _regulariser("Godard (modified)", "godard", 0.575, 0.142, 0.057, 0.825, 0.961, 0.988, 7.1929e3),
            ),
            sharp_input=True,
            notes=(
                PROTOCOL_NOTE,
                "The printed KLD of 7e3 to 9e3 cannot come from equation 2.2 (it would need a sum of about 2^7000); "
                "ours is equation 2.2, of another magnitude. Only the order of the rows can be compared.",
            ),
        ),
        ThesisTable(
            "3.1",
            "2HDED:NET beside others, NYU-Depth-V2 with synthetic defocus",
            ("depth.rmse_m", "depth.abs_rel", "deblurred.psnr_db", "deblurred.ssim"),
            (
                ThesisRow("Carvalho et al.", {"depth.rmse_m": 0.144, "depth.abs_rel": 0.036}),
                ThesisRow("Anwar et al.", {"depth.rmse_m": 0.347, "depth.abs_rel": 0.094, "deblurred.psnr_db": 34.21}),
                ThesisRow(
                    "2HDED:NET",
                    {
                        "depth.rmse_m": 0.244,
                        "depth.abs_rel": 0.029,
                        "deblurred.psnr_db": 34.85,
                        "deblurred.ssim": 0.99,
                    },
                    "nyu",
                    "nyu-depth-v2",
                ),
            ),
            notes=(
                PROTOCOL_NOTE,
                BLUR_NOTE,
                "Table 4.2 prints AbsRel 0.266 and RMSE 0.281 for the same network and data: nine times the AbsRel.",
                "The printed PSNR may be of one picture: the text says 'for the same image'.",
            ),
        ),
        ThesisTable(
            "4.2",
            "Depth on NYU-Depth-V2 and iDFD, within and across data sets",
            _columns("depth", DEPTH_42),
            (
                ThesisRow(
                    "NYU / NYU", _named("depth", DEPTH_42, 0.281, 0.266, 0.877, 0.942, 0.958), "nyu", "nyu-depth-v2"
                ),
                ThesisRow("NYU / iDFD", _named("depth", DEPTH_42, 0.401, 0.284, 0.759, 0.813, 0.839), "nyu", "idfd"),
                ThesisRow(
                    "iDFD / iDFD (raw depth)",
                    _named("depth", DEPTH_42, 0.312, 0.194, 0.727, 0.793, 0.807),
                    "idfd-raw",
                    "idfd-raw",
                ),
                ThesisRow(
                    "iDFD / iDFD (in-painted depth)",
                    _named("depth", DEPTH_42, 0.248, 0.145, 0.799, 0.854, 0.959),
                    "idfd",
                    "idfd",
                ),
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
            ("deblurred.psnr_db", "deblurred.ssim", "deblurred.input_psnr_db", "deblurred.input_ssim"),
            (
                ThesisRow(
                    "NYU, trained on NYU",
                    {
                        "deblurred.psnr_db": 32.68,
                        "deblurred.ssim": 0.91,
                        "deblurred.input_psnr_db": 26.09,
                        "deblurred.input_ssim": 0.49,
                    },
                    "nyu",
                    "nyu-depth-v2",
                ),
                ThesisRow(
                    "iDFD, trained on iDFD",
                    {
                        "deblurred.psnr_db": 36.25,
                        "deblurred.ssim": 0.99,
                        "deblurred.input_psnr_db": 25.83,
                        "deblurred.input_ssim": 0.51,
                    },
                    "idfd",
                    "idfd",
                ),
                ThesisRow("iDFD, trained on NYU", {"deblurred.psnr_db": 30.09, "deblurred.ssim": 0.86}, "nyu", "idfd"),
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
            ("defocus.mse", "defocus.mae", "deblurred.psnr_db", "deblurred.ssim"),
            (
                ThesisRow(
                    "D'Andres et al., RTF",
                    {
                        "defocus.mse": 0.094,
                        "defocus.mae": 0.196,
                        "deblurred.psnr_db": 25.42,
                        "deblurred.ssim": 0.850,
                    },
                ),
                ThesisRow(
                    "Lee et al., RTF",
                    {
                        "defocus.mse": 0.172,
                        "defocus.mae": 0.311,
                        "deblurred.psnr_db": 24.03,
                        "deblurred.ssim": 0.761,
                    },
                ),
                ThesisRow(
                    "Ma et al., RTF",
                    {
                        "defocus.mse": 0.098,
                        "defocus.mae": 0.239,
                        "deblurred.psnr_db": 26.08,
                        "deblurred.ssim": 0.823,
                    },
                ),
                ThesisRow(
                    "2HDED:NET, RTF (trained on DFD)",
                    {
                        "defocus.mse": 0.205,
                        "defocus.mae": 0.358,
                        "deblurred.psnr_db": 25.08,
                        "deblurred.ssim": 0.797,
                    },
                    "dfd",
                    "rtf",
                ),
                ThesisRow(
                    "2HDED:NET, SYNDOF",
                    {
                        "defocus.mse": 0.374,
                        "defocus.mae": 0.509,
                        "deblurred.psnr_db": 31.74,
                        "deblurred.ssim": 0.812,
                    },
                    "syndof",
                    "syndof",
                ),
                ThesisRow(
                    "2HDED:NET, iDFD",
                    {
                        "defocus.mse": 0.350,
                        "defocus.mae": 0.457,
                        "deblurred.psnr_db": 34.08,
                        "deblurred.ssim": 0.908,
                    },
                    "idfd",
                    "idfd",
                ),
            ),
            notes=(
                PROTOCOL_NOTE,
                SPLIT_NOTE,
                "The printed MSE and MAE of defocus maps have no unit; the authors' script scales prediction and truth "
                "to [0, 1] each by itself. Ours are px^2 and px of the circle of confusion: do not compare their size.",
                "RTF states no unit of its defocus maps: no defocus figures of ours on it.",
                "iDFD has no true defocus map; ours follows from its depth and a lens given with --lens.",
                "SYNDOF as its generator writes it holds no all-in-focus picture: no PSNR of ours.",
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
