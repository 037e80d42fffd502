# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Entry point of the console script `dfd`.

A command is a module of this package with `add_arguments(parser)` and `run(args) -> int`. Only the module of the
command that was asked for is imported, so that `dfd --help` needs nothing but Python and is quick on a robot too.

Exit codes: 0 done, 1 it failed, 2 bad use or bad input, 130 interrupted, 141 the reader of the output went away.
"""

from __future__ import annotations

import argparse
import errno
import importlib
import importlib.util
import io
import logging
import os
import sys
from collections.abc import Sequence
from typing import NamedTuple

from dfd_perception import __version__
from dfd_perception.errors import DfdPerceptionError, reason_of, without_controls

EXIT_FAILED = 1
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130
EXIT_BROKEN_PIPE = 141


class Command(NamedTuple):
    """One line of `dfd --help`; the module has the command's name with underscores."""

    name: str
    summary: str

    @property
    def module(self) -> str:
        """Full name of the module that implements the command."""
        return f"dfd_perception.cli.{self.name.replace('-', '_')}"


COMMANDS = (
    Command("predict", "depth and a deblurred image from images"),
    Command("view", "show images, depth and blur live in the browser: of a node, a bag, a session, images, a camera"),
    Command("camera", "publish a camera, a video or images as ROS 2 topics"),
    Command("lens", "what a lens can give: blur and accuracy at each distance, and whether a model fits it"),
    Command("evaluate", "measure a model on a dataset or a bag: report.json and report.html"),
    Command("compare", "put several reports side by side"),
    Command("play", "play a bag onto ROS 2 topics"),
    Command("record-bag", "record ROS 2 topics into a bag"),
    Command("call", "call a service of a running node: start, stop, capture, reload, snapshot"),
    Command("ingest", "turn an Azure Kinect recording into a session"),
    Command("inspect", "show what a session or dataset folder holds, and its depth on its images"),
    Command("calibrate-lens", "calibrate a lens (gain, focus, blur floor) by the meter's own readings"),
    Command("calibrate", "calibrate the robot camera against the depth sensor, from a session with a board"),
    Command("register", "bring the depth of a session into the robot camera's image: training data"),
    Command("synthesize", "give sharp RGB-D images the defocus of a lens"),
    Command("train", "train a model by a recipe"),
    Command("convert-checkpoint", "turn a published checkpoint into a model folder"),
    Command("export", "write a model as ONNX"),
    Command("build-engine", "build a TensorRT engine for this GPU"),
    Command("engines", "list and prune built TensorRT engines"),
    Command("benchmark", "measure rate and latency of the node on this machine"),
    Command("doctor", "say what is installed, what would run, and how to get what is missing"),
)


def available_commands() -> list[Command]:
    """Return the commands whose module is part of this installation."""
    return [command for command in COMMANDS if importlib.util.find_spec(command.module) is not None]


def build_parser(arguments: Sequence[str]) -> argparse.ArgumentParser:
    """Return the parser, with the options of the one command that `arguments` names."""
    parser = argparse.ArgumentParser(
        prog="dfd",
        description="Depth from defocus: metric depth and a deblurred image from one defocused image.",
        epilog="dfd COMMAND --help explains a command.",
    )
    parser.add_argument("--version", action="version", version=f"dfd_perception {__version__}")
    parser.add_argument("--debug", action="store_true", help="log more, and show where an error came from")
    group = parser.add_subparsers(dest="command", metavar="COMMAND", required=True, title="commands")
    chosen = next((argument for argument in arguments if not argument.startswith("-")), None)
    for command in available_commands():
        if command.name != chosen:
            group.add_parser(command.name, help=command.summary)
            continue
        module = importlib.import_module(command.module)
        child = group.add_parser(
            command.name,
            help=command.summary,
            description=module.__doc__,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.add_arguments(child)
        child.set_defaults(run=module.run)
    return parser


def explain(error: BaseException) -> tuple[str, int] | None:
    """Return the line and the exit code for an error that a person can act on; None for a defect of the program."""
    if isinstance(error, DfdPerceptionError):
        return str(error), error.exit_code
    if isinstance(error, ModuleNotFoundError) and error.name and not error.name.startswith("dfd_perception"):
        package = error.name.partition(".")[0]
        advice = "`dfd doctor` says how to install it"
        return f"this needs the package {package}, which {sys.executable} does not find; {advice}", EXIT_FAILED
    if isinstance(error, OSError) and error.filename is not None:
        user_error = isinstance(error, (FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError))
        return f"{error.filename}: {reason_of(error)}", EXIT_USAGE if user_error else EXIT_FAILED
    if isinstance(error, OSError) and error.errno in FULL:
        # A write that fails does not say to which file.
        return f"{reason_of(error)}: free some space, or choose a folder on another disk", EXIT_FAILED
    if isinstance(error, MemoryError):
        return "there is not enough memory for this; use smaller images or fewer workers", EXIT_FAILED
    return None


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The options of one command; ends the program with a line where they are wrong."""
    parser = build_parser(arguments)
    if "" in arguments:
        parser.error("one of the arguments is empty (a variable of the shell that is not set?)")
    parsed, rest = parser.parse_known_args(arguments)
    # argparse takes no second group of words after an option: `dfd train RECIPE --data DIR key=value`.
    if rest and not (hasattr(parsed, "words") and all("=" in word and word[0] != "-" for word in rest)):
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    if rest:
        parsed.words += rest
    return parsed


def run_command(arguments: Sequence[str]) -> int:
    """Parse and run one command; errors leave as exceptions."""
    parsed = parse(arguments)
    level = logging.DEBUG if parsed.debug else logging.INFO
    logging.basicConfig(level=level, format="%(message)s", stream=sys.stderr)
    code = int(parsed.run(parsed) or 0)
    sys.stdout.flush()
    return code


def main(argv: Sequence[str] | None = None) -> int:
    """Run `dfd` and return its exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if isinstance(sys.stdout, io.TextIOWrapper):  # names of files need not be UTF-8
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        return run_command(arguments)
    except KeyboardInterrupt:
        print("dfd: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # Python flushes stdout once more at exit and would complain there.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_BROKEN_PIPE
    except Exception as error:
        explained = explain(error)
        if explained is None or "--debug" in arguments:
            raise
        line, code = explained
        print(f"dfd: {without_controls(line)}", file=sys.stderr)
        return code


if __name__ == "__main__":
    sys.exit(main())
