# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""`dfd call`: services of real nodes, by the command that a user types."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("rclpy", reason="no rclpy in this environment")

from dfd_perception.cli.__main__ import main


def test_reload_and_snapshot_give_the_words_and_the_exit_code_of_the_node(start_node, peer, tmp_path, capsys):
    depths = peer.subscribe("depth/image")
    start_node(snapshot_dir=str(tmp_path), lens__aperture_diameter_mm=25.0, lens__focus_distance_m=0.6)
    assert main(["call", "snapshot", "--json"]) == 1
    refused = json.loads(capsys.readouterr().out)
    assert refused["success"] is False
    assert "no frame" in refused["message"]
    peer.publish_until(lambda: depths, "depth arrives", fx=600.0)
    assert main(["call", "snapshot"]) == 0
    assert capsys.readouterr().out.strip() == str(next(tmp_path.iterdir()))
    assert main(["call", "reload", "--node", "/dfd"]) == 0
    assert capsys.readouterr().out.strip()


def test_a_node_that_does_not_run_is_named_in_one_line(start_node, capsys):
    start_node(lens__aperture_diameter_mm=25.0, lens__focus_distance_m=0.6)
    assert main(["call", "reload", "--node", "left/dfd", "--wait", "6"]) == 1
    error = capsys.readouterr().err
    assert "no service /left/dfd/reload_model within 6 s" in error
    assert "nodes that have it: /dfd" in error
    assert error.count("\n") == 1


def test_a_wrong_word_is_bad_use(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["call", "halt"])
    assert ended.value.code == 2


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--node", "bad name"], "'/bad name/start' cannot be a name in ROS: "),
        (["--wait", "nan"], "wait is nan; expected 0 to"),
        (["--limit", "-1"], "limit is -1; expected above 0"),
    ],
)
def test_what_cannot_be_is_one_line_and_exit_code_2(ros_domain_id, capsys, options, says):
    assert main(["call", "start", *options]) == 2
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1
