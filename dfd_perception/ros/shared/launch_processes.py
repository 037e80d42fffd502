# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""How the launch files begin and end: nothing starts that cannot go on, no process is left behind, a failure is exit 1.

launch has two traps here. An error while a launch file is carried out ends launch at once, and what was started before
it lives on: so everything that can be missing is looked for first. And launch ends with 0 whatever its processes did:
an exception in an event handler makes it 1, and ends all processes in order.
"""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

from ament_index_python.packages import PackageNotFoundError, get_package_prefix
from launch.action import Action
from launch.actions import EmitEvent, OpaqueFunction, RegisterEventHandler
from launch.event_handlers import OnProcessExit
from launch.events import Shutdown
from launch.events.process import ProcessExited
from launch.launch_context import LaunchContext
from launch.substitutions import LaunchConfiguration

from dfd_perception.errors import ConfigError

Problem = Callable[[LaunchContext], "str | None"]
"""Says what is missing, or None."""

ENDED_AS_REQUESTED = frozenset(code for number in (signal.SIGINT, signal.SIGTERM) for code in (-number, 128 + number))
"""Exit codes of a process that was told to end and has no handler of its own."""


def first_check(*problems: Problem) -> OpaqueFunction:
    """Refuse to start with the first problem; the first entity after the arguments.

    Raises (when launched):
        ConfigError: something is missing, in words.
    """

    def check(context: LaunchContext) -> None:
        for problem in problems:
            text = problem(context)
            if text is not None:
                raise ConfigError(f"{text}. Nothing was started")

    return OpaqueFunction(function=check)


def exists(argument: str, what: str) -> Problem:
    """The file or folder that an argument names, where it names one."""

    def problem(context: LaunchContext) -> str | None:
        path = at_home(context, argument)
        return f"{argument}:={path} does not exist; expected {what}" if path and not Path(path).exists() else None

    return problem


def is_new(argument: str, what: str) -> Problem:
    """The folder that an argument names is not there yet."""

    def problem(context: LaunchContext) -> str | None:
        path = at_home(context, argument)
        return f"{argument}:={path} exists already; expected {what}" if path and Path(path).exists() else None

    return problem


def may_be_new(argument: str) -> Problem:
    """The folder that an argument names may be there or not."""

    def problem(context: LaunchContext) -> None:
        at_home(context, argument)

    return problem


def at_home(context: LaunchContext, argument: str) -> str:
    """The path that an argument names; ~ is the user's folder from here on: a shell leaves it as it is behind `:=`."""
    path = LaunchConfiguration(argument).perform(context)
    if path.startswith("~"):
        path = os.path.expanduser(path)
        context.launch_configurations[argument] = path
    return path


def is_installed(package: str) -> Problem:
    """A package of somebody else, whose node the launch file starts."""

    def problem(context: LaunchContext) -> str | None:
        try:
            get_package_prefix(package)
        except PackageNotFoundError:
            distribution = os.environ.get("ROS_DISTRO", "<distro>")
            name = f"ros-{distribution}-{package.replace('_', '-')}"
            return f"the package {package} is not installed: sudo apt install {name}"
        return None

    return problem


def rviz_is_installed(context: LaunchContext) -> str | None:
    """rviz2 is on the PATH, where `rviz` asks for it: ros-base and many robots come without."""
    if LaunchConfiguration("rviz").perform(context) != "true":
        return None
    if shutil.which("rviz2") is None:
        distribution = os.environ.get("ROS_DISTRO", "<distro>")
        advice = f"sudo apt install ros-{distribution}-rviz2, or leave rviz:=true out"
        return f"rviz:=true, and there is no rviz2 on the PATH: {advice}"
    return exists("rviz_config", "a configuration of RViz")(context)


def ends_all(process: Action, reason: str) -> RegisterEventHandler:
    """When this process ends, all of them end; launch exits with 1 if it failed, else with 0."""
    return _when_it_ends(process, EmitEvent(event=Shutdown(reason=reason)))


def may_end(process: Action) -> RegisterEventHandler:
    """When this process ends well, the others go on (a closed window); if it fails, all end and launch exits with 1."""
    return _when_it_ends(process, None)


def _when_it_ends(process: Action, then: EmitEvent | None) -> RegisterEventHandler:
    def judge(event: ProcessExited, context: LaunchContext) -> EmitEvent | None:
        as_requested = context.is_shutdown and event.returncode in ENDED_AS_REQUESTED
        if event.returncode != 0 and not as_requested:
            raise RuntimeError(f"{event.process_name} failed with exit code {event.returncode}; the rest is ended")
        return None if context.is_shutdown else then

    return RegisterEventHandler(OnProcessExit(target_action=process, on_exit=judge))
