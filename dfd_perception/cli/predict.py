"""Depth and a deblurred image from images.

Each image gives STEM_depth.png (uint16 millimetres, 0 for none), STEM_depth_color.png (colours over a fixed range,
with a legend) and STEM_deblurred.png; a model that measures blur also STEM_defocus.png (uint16, 1/100 px). Such a model
needs the lens for depth, and the focal length in pixels: from the lens file (focal_length_mm and pixel_pitch_um, of the
images as they are) or by --fx.

dfd predict *.jpg --model 2hded-small --lens lens.yaml --fx 1250 --out results
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from dfd_perception.errors import ImageError, UsageError

DEFOCUS_UNIT_PX = 0.01


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `dfd predict`."""
    parser.add_argument("images", nargs="+", type=Path, metavar="IMAGE", help="images (jpg, png, tiff, ...)")
    parser.add_argument("--model", required=True, metavar="M", help="model folder by name or path")
    parser.add_argument("--lens", type=Path, metavar="LENS.yaml", help="lens, for models that measure blur")
    parser.add_argument("--fx", type=float, metavar="PX", help="calibrated focal length [px] of the images")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for the results")
    parser.add_argument("--backend", default="auto", metavar="B", help="auto, openvino, onnxruntime, tensorrt, torch")
    parser.add_argument("--min-m", type=float, default=0.0, help="nearer depth is invalid [m]")
    parser.add_argument("--max-m", type=float, default=10.0, help="farther depth is invalid [m]")
    parser.add_argument("--json", action="store_true", help="print what was written, and statistics, as JSON")


def run(args: argparse.Namespace) -> int:
    """Run the model on every image."""
    from tqdm import tqdm

    from dfd_perception.files.lens_file import read_lens
    from dfd_perception.files.model_folder import load_model_folder
    from dfd_perception.inference import DepthEstimator, EstimatorOptions

    _require_distinct_stems(args.images)
    if not 0 <= args.min_m < args.max_m:
        raise UsageError(f"--min-m {args.min_m:g} and --max-m {args.max_m:g}: expected 0 or more, the first smaller")
    model = load_model_folder(args.model)
    resolved = model.resolve(read_lens(args.lens), args.fx) if args.lens else None
    curve = None if resolved is None else resolved.curve
    notes = _notes(model, curve) + ([] if resolved is None or model.card.target == "depth" else list(resolved.notes))
    for note in notes:
        print(f"note: {note}", file=sys.stderr)
    options = EstimatorOptions(backend=args.backend, depth_min_m=args.min_m, depth_max_m=args.max_m)
    estimator = DepthEstimator(model, options)
    heads: Any = "both" if len(model.card.heads) == 2 else model.card.heads[0]
    args.out.mkdir(parents=True, exist_ok=True)
    range_m = (args.min_m or min(0.1, args.max_m / 10), args.max_m)
    results = []
    for path in tqdm(args.images, desc="predicting", unit="image", disable=not sys.stderr.isatty()):
        image = _read(path)
        prediction = estimator.predict(image, curve, heads)
        chosen = estimator.backend_for((image.shape[0], image.shape[1]), heads)
        results.append(
            {
                "image": str(path),
                "files": _write(args.out, path.stem, prediction, range_m),
                **_statistics(prediction),
                "backend": chosen.backend.name,
                "latency_ms": {stage: round(s * 1e3, 2) for stage, s in prediction.latency_s.items()},
            }
        )
    estimator.close()
    if args.json:
        print(json.dumps({"model": str(model.path), "notes": notes, "pictures": results}, indent=2))
    else:
        for result in results:
            print(f"{result['image']}: {', '.join(Path(name).name for name in result['files'])}")
    return 0


def _notes(model: Any, curve: Any) -> list[str]:
    """What the user should know before the results."""
    if model.card.target == "depth":
        return ["--lens is not used: this model knows its own lens only"] if curve is not None else []
    if curve is None:
        return [f"no depth: model {model.name} measures blur; give its lens with --lens to turn blur into metres"]
    return list(model.warnings_for(curve))


def _require_distinct_stems(paths: list[Path]) -> None:
    seen: dict[str, Path] = {}
    for path in paths:
        if path.stem in seen:
            raise UsageError(f"{seen[path.stem]} and {path} would write the same files; give them separately")
        seen[path.stem] = path


def _read(path: Path) -> Any:
    import cv2

    if not path.is_file():
        raise ImageError(f"{path}: no such image")
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise ImageError(f"{path}: cannot be read as an image")
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def _write(out: Path, stem: str, prediction: Any, range_m: tuple[float, float]) -> list[str]:
    """Write what the prediction holds; returns the paths."""
    import cv2
    import numpy as np

    from dfd_perception.core.colormap import colour_depth, legend
    from dfd_perception.core.depth_encoding import uint16_mm_from_depth_m

    images: dict[str, Any] = {}
    if prediction.depth_m is not None:
        images["depth"] = uint16_mm_from_depth_m(prediction.depth_m)
        colours = colour_depth(prediction.depth_m, range_m)
        images["depth_color"] = np.vstack([colours, legend(colours.shape[1], range_m)])[..., ::-1]
    if prediction.deblurred is not None:
        images["deblurred"] = prediction.deblurred[..., ::-1]
    if prediction.coc_px is not None:
        hundredths = np.rint(prediction.coc_px / DEFOCUS_UNIT_PX)
        images["defocus"] = np.clip(hundredths, 0, 65535).astype(np.uint16)
    written = []
    for name, image in images.items():
        path = out / f"{stem}_{name}.png"
        if not cv2.imwrite(str(path), image):
            raise OSError(0, "cannot be written", str(path))
        written.append(str(path))
    return written


def _statistics(prediction: Any) -> dict[str, Any]:
    import numpy as np

    result: dict[str, Any] = {}
    if prediction.depth_m is not None:
        valid = prediction.depth_m[np.isfinite(prediction.depth_m)]
        result["valid_fraction"] = round(valid.size / prediction.depth_m.size, 4)
        result["median_depth_m"] = round(float(np.median(valid)), 4) if valid.size else None
    if prediction.coc_px is not None:
        result["median_coc_px"] = round(float(np.median(prediction.coc_px)), 3)
    return result
