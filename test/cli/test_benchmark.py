# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""`dfd benchmark` where something is missing."""

from __future__ import annotations

import sys

import pytest

from dfd_perception.cli.__main__ import main


@pytest.mark.parametrize("part", ["node", "start"])
def test_without_ros_the_missing_package_is_named_before_a_process_dies_of_it(part, monkeypatch, capfd):
    monkeypatch.setitem(sys.modules, "rclpy", None)
    assert main(["benchmark", "--model", "2hded-small", "--parts", part]) == 1
    said = capfd.readouterr().err
    assert "this needs the package rclpy" in said
    assert "Traceback" not in said
