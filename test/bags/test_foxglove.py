# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Our .mcap files for readers that know no ROS (Foxglove): read by the mcap library, which has no types of its own."""

from __future__ import annotations

import numpy as np
import pytest

from dfd_perception.bags.messages import compressed_image_message, image_message
from dfd_perception.bags.writer import BagWriter

reader = pytest.importorskip("mcap.reader", reason="no mcap in this environment")


@pytest.mark.parametrize("compression", ["none", "storage"])
def test_channels_carry_cdr_and_schemas_with_every_type_that_they_use(tmp_path, compression):
    writer = BagWriter(tmp_path / "bag", "mcap", compression)
    depth_m = np.linspace(0.5, 2, 12, dtype=np.float32).reshape(3, 4)
    writer.write("/depth/image", "sensor_msgs/msg/Image", 5, image_message(depth_m, "32FC1", 5, "cam"))
    packed = compressed_image_message(b"\xff\xd8 \xff\xd9", "jpeg", 6, "cam")
    writer.write("/image/compressed", "sensor_msgs/msg/CompressedImage", 6, packed)
    writer.close()
    (path,) = (tmp_path / "bag").glob("*.mcap")
    with path.open("rb") as file:
        opened = reader.make_reader(file)
        assert opened.get_header().profile == "ros2"
        messages = [(schema, channel, message) for schema, channel, message in opened.iter_messages()]
    assert [(c.topic, c.message_encoding, m.log_time) for _, c, m in messages] == [
        ("/depth/image", "cdr", 5), ("/image/compressed", "cdr", 6)
    ]  # fmt: skip
    for schema, _, _ in messages:
        assert schema.encoding == "ros2msg"
        # A reader without ROS finds the types of the fields behind the first one.
        text = schema.data.decode()
        assert "MSG: std_msgs/Header" in text
        assert "MSG: builtin_interfaces/Time" in text
    assert messages[0][0].name == "sensor_msgs/msg/Image"
    assert depth_m.tobytes() in messages[0][2].data
