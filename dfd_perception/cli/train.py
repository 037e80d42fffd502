# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Train a model by a recipe (config/train/*.yaml), on a CPU, a GPU, or under torchrun on several.

A recipe is given by path or by the name of a shipped one. Settings can be changed on the command line, with the names
that they have in the recipe:

  dfd train generated_any_lens --data textures/ max_minutes=60
  dfd train finetune --data my_session/ model.start_from=2hded-small
  dfd train --resume runs/finetune
  dfd train regularisers --compare objective.regulariser=none,eigen,ummenhofer,godard_modified,xian,hu
  torchrun --nproc-per-node 2 -m dfd_perception.cli train nyu --data nyu/

Ctrl-C ends after the step under way with everything saved. The result is RUN/model, a model folder.
"""  # noqa: D415 (ends with what the result is)

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dfd_perception.training.trainer import TrainingResult

EXIT_INTERRUPTED = 130


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this command."""
    parser.add_argument(
        "words", metavar="RECIPE.yaml key=value", nargs="*", help="recipe (not needed with --resume), then settings"
    )
    parser.add_argument("--data", metavar="DIR", type=Path, help="data set; for generated scenes, photographs")
    parser.add_argument("--resume", metavar="RUN", type=Path, help="go on with a run from its last checkpoint")
    parser.add_argument("--compare", metavar="KEY=A,B,...", help="train once for each value and print a table")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def run(args: argparse.Namespace) -> int:
    """Train; returns the exit code."""
    from dfd_perception.errors import ConfigError
    from dfd_perception.files.configuration import from_mapping, read_yaml, with_overrides
    from dfd_perception.training.comparison import compare
    from dfd_perception.training.config import TrainConfig
    from dfd_perception.training.run_directory import require_same_run, stored_recipe
    from dfd_perception.training.trainer import train

    recipes = [word for word in args.words if "=" not in word]
    overrides = [word for word in args.words if "=" in word]
    if len(recipes) > 1:
        listed = ", ".join(recipes)
        raise ConfigError(f"{len(recipes)} recipes given ({listed}); expected one, and settings as key=value")
    if not recipes and args.resume is None:
        raise ConfigError(f"no recipe given; name a file or one of {', '.join(shipped_recipes())}")
    if args.resume is not None:
        stored = stored_recipe(args.resume)
        where = str(args.resume / "recipe.yaml")
        mapping = read_yaml(find_recipe(recipes[0])) if recipes else read_yaml(args.resume / "recipe.yaml")
    else:
        path = find_recipe(recipes[0])
        where, mapping = str(path), read_yaml(path)
    mapping = with_overrides(mapping, overrides)
    if args.data is not None:
        place_data(mapping, args.data)
    if args.compare:
        if args.resume is not None:
            raise ConfigError("--compare starts new runs; it cannot go with --resume")
        text, file = compare(mapping, args.compare, where)
        print(text, end="")
        print(f"{file} keeps this table", file=sys.stderr)
        return 0
    config = from_mapping(TrainConfig, mapping, where)
    if args.resume is not None:
        require_same_run(args.resume, stored, config)
    result = train(config, args.resume)
    if int(os.environ.get("RANK", 0)) == 0:
        report(result, args.json)
    return 0 if result.interrupted_by is None else EXIT_INTERRUPTED


def report(result: TrainingResult, as_json: bool) -> None:
    """Say how the run ended."""
    if as_json:
        fields = result._asdict() if hasattr(result, "_asdict") else vars(result)
        print(json.dumps({name: str(v) if isinstance(v, Path) else v for name, v in fields.items()}))
    elif result.interrupted_by is not None:
        print(f"stopped by {result.interrupted_by} at step {result.step}; to go on: dfd train --resume {result.folder}")
    else:
        figures = ", ".join(f"{name} {value:.4g}" for name, value in result.metrics.items())
        print(f"{result.model}: {figures}")


def place_data(mapping: dict[str, Any], folder: Path) -> None:
    """Put --data where the recipe reads it: the data set's folder, or the photographs of generated scenes."""
    from dfd_perception.errors import ConfigError
    from dfd_perception.files.configuration import holds

    data = mapping.setdefault("data", {})
    if not isinstance(data, dict):
        raise ConfigError(f"data {holds(data)}; expected a mapping of settings")
    data["textures" if data.get("kind") == "generated" else "path"] = str(folder)


def find_recipe(name: str) -> Path:
    """A recipe by path, or a shipped one by name.

    Raises:
        ConfigError: neither.
    """
    from dfd_perception.errors import ConfigError

    if Path(name).is_file():
        return Path(name)
    shipped = shipped_recipes()
    if name.removesuffix(".yaml") in shipped:
        return shipped[name.removesuffix(".yaml")]
    raise ConfigError(f"{name}: no such recipe; it is neither a file nor one of {', '.join(shipped)}")


def shipped_recipes() -> dict[str, Path]:
    """Name to file of config/train, in the source tree or in the installed share."""
    from dfd_perception.environment import shipped_path

    return {path.stem: path for path in sorted(shipped_path("config/train").glob("*.yaml"))}
