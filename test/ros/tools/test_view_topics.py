# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""`dfd view topics`: what the page would get is what a running node publishes."""

from __future__ import annotations

import asyncio
import threading

import cv2
import numpy as np
import pytest

rclpy = pytest.importorskip("rclpy", reason="no ROS 2 in this environment")
pytest.importorskip("onnxruntime", reason="no onnxruntime in this environment")

from sensor_msgs.msg import CompressedImage  # noqa: E402

from dfd_perception.core.image_encoding import depth_m_from_image, float_map_from_image, rgb_from_image  # noqa: E402
from dfd_perception.core.stamps import header_stamp_ns  # noqa: E402
from dfd_perception.errors import UsageError  # noqa: E402
from dfd_perception.ros.tools.live_topics import LiveTopics  # noqa: E402
from dfd_perception.view.frame_slot import FrameSlot  # noqa: E402

FX = 660.0
LENS = {"lens__aperture_diameter_mm": 25.0, "lens__focus_distance_m": 0.6}
PARTS = frozenset({"input", "depth", "std", "blur", "deblurred"})


class Viewer:
    """A page that looks at a node's topics."""

    def __init__(self, domain_id, parts=PARTS, name="dfd"):
        self.slot, self.stop, self.wake = FrameSlot(), threading.Event(), asyncio.Event()
        self.loop = asyncio.new_event_loop()
        self.loop.run_until_complete(self._look(parts))
        self.feed = LiveTopics(name, domain_id=domain_id)
        self.thread = threading.Thread(target=self.feed.run, args=(self.slot, self.stop), daemon=True)
        self.thread.start()

    async def _look(self, parts):
        self.slot.add_viewer(self.wake)
        self.slot.set_wanted(self.wake, parts)

    def close(self):
        self.stop.set()
        self.thread.join(20)
        self.loop.close()
        assert not self.thread.is_alive()


@pytest.mark.parametrize("name", ["bad name", "9x", "robot 1/dfd", "a//b"])
def test_a_name_that_no_node_can_have_is_refused(name):
    with pytest.raises(UsageError, match="cannot be a name in ROS; expected one like dfd"):
        LiveTopics(name)


@pytest.fixture
def look(ros_domain_id):
    viewers = []

    def start(**options):
        viewers.append(Viewer(ros_domain_id, **options))
        return viewers[-1]

    yield start
    for viewer in viewers:
        viewer.close()


def test_the_page_gets_what_the_node_publishes(start_node, peer, look, eventually):
    start_node(**LENS)
    topics = ("depth/image", "depth/std", "defocus/image", "deblurred/image")
    received = {topic: peer.subscribe(topic) for topic in topics}
    viewer = look()
    whole = []

    def published(topic, stamp):
        return [message for message in received[topic] if header_stamp_ns(message.header) == stamp]

    def a_whole_frame_came_to_both():
        """Either may miss a frame that the other gets: on a busy machine, messages are dropped."""
        frame = viewer.slot.frame
        if frame and frame.camera and set(frame.maps) == {"depth", "std", "blur"} and "deblurred" in frame.images:
            whole[:] = [frame] if all(published(topic, frame.stamp_ns) for topic in topics) else []
        return whole

    peer.publish_until(a_whole_frame_came_to_both, "a whole frame is shown that came here too", fx=FX)
    (shown,) = whole
    depth, std, blur, deblurred = (published(topic, shown.stamp_ns)[0] for topic in topics)
    np.testing.assert_array_equal(shown.maps["depth"], depth_m_from_image(depth))
    np.testing.assert_array_equal(shown.maps["std"], depth_m_from_image(std))
    np.testing.assert_array_equal(shown.maps["blur"], float_map_from_image(blur))
    np.testing.assert_array_equal(shown.images["deblurred"], rgb_from_image(deblurred))
    assert (shown.camera.fx, shown.camera.width) == (FX, 80)
    eventually(lambda: "backend" in viewer.slot.status.values, "diagnostics are shown")
    assert {"rate in", "rate out"} <= set(viewer.slot.status.series)


def test_only_what_is_on_the_screen_is_subscribed_to(start_node, peer, look, eventually, monkeypatch):
    monkeypatch.setattr("dfd_perception.ros.tools.live_topics.LINGER_S", 0.3)
    start_node(**LENS)
    viewer = look(parts=frozenset({"deblurred"}))
    count = lambda topic: peer.node.count_subscribers(topic)  # noqa: E731
    eventually(lambda: count("/deblurred/image") == 1 and count("/depth/image") == 1, "the viewer subscribes")
    assert count("/depth/std") == 0
    viewer.slot.set_wanted(viewer.wake, frozenset({"std"}))
    eventually(lambda: count("/depth/std") == 1 and count("/deblurred/image") == 0, "the subscriptions follow")
    viewer.slot.remove_viewer(viewer.wake)
    eventually(lambda: count("/depth/image") == 0 and count("/depth/std") == 0, "nobody looks: the node may rest")


def test_a_node_that_is_not_there_is_waited_for(start_node, peer, look, eventually, capfd):
    viewer = look()
    eventually(lambda: "waiting for" in viewer.slot.status.message, "the page says that it waits")
    assert "no node /dfd" in viewer.slot.status.message
    start_node(**LENS)
    peer.publish_until(lambda: viewer.slot.frame is not None, "the node's images are shown", fx=FX)
    assert capfd.readouterr().err.count("waiting") == 1


def test_a_camera_that_starts_after_the_page_is_shown(start_node, peer, look, eventually):
    """Nobody publishes yet: the node says which type of image it takes."""
    start_node(input__transport="compressed", **LENS)
    viewer = look()
    eventually(lambda: peer.node.count_subscribers("/image/compressed") == 2, "node and page listen")
    camera = peer.node.create_publisher(CompressedImage, "image/compressed", 5)
    eventually(lambda: camera.get_subscription_count() == 2, "both take what the camera sends")
    jpeg = cv2.imencode(".jpg", np.random.default_rng(0).integers(0, 256, (48, 80, 3), np.uint8))[1].tobytes()

    def shown() -> bool:
        camera.publish(CompressedImage(header=peer.header(), format="jpeg", data=jpeg))
        return viewer.slot.frame is not None and set(viewer.slot.frame.images) == {"input", "deblurred"}

    eventually(shown, "input and deblurred are shown")


def test_a_node_without_a_lens_still_shows_images(start_node, peer, look):
    start_node()
    viewer = look()
    peer.publish_until(
        lambda: viewer.slot.frame is not None and "blur" in viewer.slot.frame.maps, "images and blur are shown"
    )
    assert "depth" not in viewer.slot.frame.maps


def test_of_two_nodes_of_one_name_the_one_with_topics_is_shown(ros_domain_id, start_node, peer, look, eventually):
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=ros_domain_id)
    other = rclpy.create_node("dfd", context=context)
    try:
        viewer = look()
        eventually(lambda: "running: /dfd, /peer" in viewer.slot.status.message, "the other is seen, first")
        start_node(**LENS)
        peer.publish_until(lambda: viewer.slot.frame is not None, "the node's images are shown", fx=FX)
    finally:
        other.destroy_node()
        rclpy.shutdown(context=context)
