# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import argparse
import errno
import importlib
import json
import os
import re
import subprocess
import sys
import types
from pathlib import Path

import pytest

from dfd_perception import __version__
from dfd_perception.cli import __main__ as cli
from dfd_perception.errors import BackendError, ModelError

HEAVY = ("numpy", "cv2", "torch", "rclpy", "onnxruntime", "openvino", "yaml", "rosbags", "tqdm")


@pytest.fixture
def fake_command(monkeypatch):
    """Return a function that makes `dfd fake` run a given function."""

    def install(run):
        module = types.ModuleType("dfd_perception.cli.fake", "Do what the test says.")
        module.add_arguments = lambda parser: parser.add_argument("--number", type=int, default=1)
        module.run = run
        monkeypatch.setitem(sys.modules, "dfd_perception.cli.fake", module)
        monkeypatch.setattr(cli, "available_commands", lambda: [cli.Command("fake", "what the test says")])

    return install


def raiser(error):
    def run(_args):
        raise error

    return run


def test_help_lists_each_command_and_loads_nothing_heavy():
    program = (
        "import json, sys\n"
        "from dfd_perception.cli.__main__ import main\n"
        "try:\n    main(['--help'])\n"
        f"finally:\n    print(json.dumps([name for name in {HEAVY!r} if name in sys.modules]), file=sys.stderr)\n"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30)
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stderr.splitlines()[-1]) == []
    for command in cli.available_commands():
        assert re.search(rf"^ +{command.name}\b", result.stdout, re.MULTILINE)


@pytest.mark.parametrize("command", cli.available_commands(), ids=lambda command: command.name)
def test_each_command_has_help(command, capsys):
    with pytest.raises(SystemExit) as end:
        cli.main([command.name, "--help"])
    assert end.value.code == 0
    text = capsys.readouterr().out
    assert f"usage: dfd {command.name}" in text
    assert len(text.splitlines()) > 3


@pytest.mark.parametrize("command", cli.available_commands(), ids=lambda command: command.name)
def test_help_tells_each_default_and_names_no_number_after_its_option(command):
    parser = argparse.ArgumentParser()
    importlib.import_module(command.module).add_arguments(parser)
    for action in parser._actions:
        assert action.help, action
        if action.default not in (None, False, [], argparse.SUPPRESS):
            assert "default" in action.help, action
        if action.type in (int, float) and action.nargs is None and action.choices is None:
            assert action.metavar, f"{action} is shown as {action.dest.upper()}; name its unit, or N"


def test_every_command_module_is_in_the_table(project_root):
    folder = project_root / "dfd_perception" / "cli"
    modules = {path.stem for path in folder.glob("*.py") if re.search(r"^def run\(", path.read_text(), re.MULTILINE)}
    assert modules == {command.name.replace("-", "_") for command in cli.available_commands()}


def test_version(capsys):
    with pytest.raises(SystemExit) as end:
        cli.main(["--version"])
    assert end.value.code == 0
    assert capsys.readouterr().out.strip() == f"dfd_perception {__version__}"


@pytest.mark.parametrize("arguments", [[], ["no-such-command"], ["fake", "--number", "three"], ["fake", ""]])
def test_bad_use_is_exit_2(arguments, fake_command, capsys):
    fake_command(lambda args: 0)
    with pytest.raises(SystemExit) as end:
        cli.main(arguments)
    assert end.value.code == 2
    assert "usage: dfd" in capsys.readouterr().err


def test_arguments_reach_the_command_and_its_code_is_returned(fake_command):
    fake_command(lambda args: args.number)
    assert cli.main(["fake", "--number", "7"]) == 7
    assert cli.main(["--debug", "fake", "--number", "0"]) == 0


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (ModelError("no model 'x': give a folder"), 2, "no model 'x': give a folder"),
        (BackendError("openvino refuses"), 1, "openvino refuses"),
        (FileNotFoundError(errno.ENOENT, "No such file or directory", "lens.yaml"), 2, "lens.yaml: nothing is there"),
        (FileNotFoundError(errno.ENOENT, "No such file", "a\n\x1b[31mb"), 2, "a [31mb: nothing is there"),
        (OSError(errno.ENOSPC, "No space left on device", "out.png"), 1, "out.png: the disk is full"),
        (ModuleNotFoundError("No module named 'torch'", name="torch.nn"), 1, "needs the package torch"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_an_error_is_one_line_and_an_exit_code(error, code, words, fake_command, capsys):
    fake_command(raiser(error))
    assert cli.main(["fake"]) == code
    text = capsys.readouterr().err
    assert text.startswith("dfd: ")
    assert words in text
    assert text.count("\n") == 1


def test_a_defect_keeps_its_traceback(fake_command):
    fake_command(raiser(ZeroDivisionError("a bug")))
    with pytest.raises(ZeroDivisionError):
        cli.main(["fake"])


def test_debug_shows_where_an_error_came_from(fake_command):
    fake_command(raiser(ModelError("no model")))
    with pytest.raises(ModelError):
        cli.main(["--debug", "fake"])


def test_a_reader_that_goes_away_is_no_error(tmp_path: Path):
    program = (
        "import sys, types\n"
        "from dfd_perception.cli import __main__ as cli\n"
        "module = types.ModuleType('dfd_perception.cli.fake', 'Print a lot.')\n"
        "module.add_arguments = lambda parser: None\n"
        "module.run = lambda args: print('line\\n' * 200000)\n"
        "sys.modules['dfd_perception.cli.fake'] = module\n"
        "cli.available_commands = lambda: [cli.Command('fake', 'print a lot')]\n"
        "sys.exit(cli.main(['fake']))\n"
    )
    reading, writing = os.pipe()
    process = subprocess.Popen([sys.executable, "-c", program], stdout=writing, stderr=subprocess.PIPE, text=True)
    os.close(writing)
    os.close(reading)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == cli.EXIT_BROKEN_PIPE
    assert errors == ""
