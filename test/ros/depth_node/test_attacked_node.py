# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""A running node under what anybody may send it: bombs, spoilt files, any size, any parameter, floods, wrong times.

What is measured is read from outside: is it alive, does it answer good images, how much memory and how many threads.
`pytest -s` prints the figures of docs/reliability.md.
"""

from __future__ import annotations

import signal
import struct
import time
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy", reason="no rclpy in this environment")

from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import ListParameters, SetParameters
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CompressedImage, Image

from support.node_process import NodeProcess

pytestmark = [pytest.mark.fault, pytest.mark.timeout(400)]

ALLOWED_GROWTH_MB = 400
FORMATS = ("png", "jpeg", "", "x" * 10_000, "32FC1; compressedDepth")
GOOD = np.random.default_rng(0).integers(0, 256, (48, 80, 3), np.uint8)


class AttackedNode(NodeProcess):
    """The node as a process, and the peer that attacks it."""

    end_within_s = 30

    def __init__(self, environment, peer, *arguments: str) -> None:
        self.answers = peer.subscribe("defocus/image", qos=50)
        self.publisher = None
        super().__init__(environment, peer, "dfd_perception.ros.depth_node.dfd_node", *arguments)

    def status(self, name: str) -> int:
        """A figure of /proc: VmRSS and VmHWM [kB], Threads."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))

    def answer_one(self, send) -> None:
        """Send good images until one of them is answered: what a newer one replaces is not."""
        stamps, deadline = set(), time.monotonic() + 60
        while not any(answer.header.stamp.sec in stamps for answer in self.answers):
            self.require_alive()
            assert time.monotonic() < deadline, "a good image is not answered"
            stamps.add(send())
            time.sleep(0.1)

    def send_raw(self) -> int:
        return self.peer.publish(GOOD).header.stamp.sec

    def send_compressed(self, data: bytes | None = None, format_: str = "png") -> int:
        if self.publisher is None:
            self.publisher = self.peer.node.create_publisher(CompressedImage, "image/compressed", 5)
        content = cv2.imencode(".png", GOOD)[1].tobytes() if data is None else data
        message = CompressedImage(header=self.peer.header(), format=format_, data=content)
        self.publisher.publish(message)
        return message.header.stamp.sec


@pytest.fixture
def start(ros_environment, peer, tiny_coc_model):
    started = []

    def start(*arguments: str) -> AttackedNode:
        own = ["-p", f"model:={tiny_coc_model}", "-p", "backend:=onnxruntime", "-p", "num_threads:=1"]
        started.append(AttackedNode(ros_environment, peer, *own, *arguments))
        return started[-1]

    yield start
    for node in started:
        node.kill()


def bomb(side_px: int) -> bytes:
    """A PNG of one bit a pixel: whole and valid, side^2 pixels in some kilobytes."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    packer, row = zlib.compressobj(9), bytes(1 + (side_px + 7) // 8)
    pixels = b"".join(packer.compress(row) for _ in range(side_px)) + packer.flush()
    header = struct.pack(">IIBBBBB", side_px, side_px, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def test_a_node_that_was_stopped_for_a_while_goes_on(start):
    node = start()
    node.answer_one(node.send_raw)
    for _ in range(3):
        node.process.send_signal(signal.SIGSTOP)
        for _ in range(20):
            node.send_raw()
            time.sleep(0.05)
        node.process.send_signal(signal.SIGCONT)
        node.answer_one(node.send_raw)
    node.end()


def test_compressed_bombs_and_spoilt_files(start):
    """Ten sizes of bombs (up to 109 KB that unpack to 5 GB) and 200 cut or flipped files, good images between them."""
    node = start("-p", "input.transport:=compressed")
    node.answer_one(node.send_compressed)
    before_kb = node.status("VmHWM")
    sizes = (3000, 3072, 4096, 6000, 8192, 10000, 16384, 20000, 30000, 32767)
    for side_px in sizes:
        for _ in range(2):  # one of them may be dropped for a newer one
            node.send_compressed(bomb(side_px))
            time.sleep(0.2)
        node.answer_one(node.send_compressed)
    bombs_mb = (node.status("VmHWM") - before_kb) / 1024
    rng = np.random.default_rng(1)
    seeds = [cv2.imencode(kind, GOOD)[1].tobytes() for kind in (".png", ".jpg")]
    for number in range(200):
        spoilt = bytearray(seeds[number % 2])
        for place in rng.integers(0, len(spoilt), 4):
            spoilt[place] = int(rng.integers(256))
        cut = int(rng.integers(len(spoilt))) if number % 3 == 0 else len(spoilt)
        node.send_compressed(bytes(spoilt[:cut]), FORMATS[number % len(FORMATS)])
        time.sleep(0.02)
        if number % 20 == 0:
            node.answer_one(node.send_compressed)
    node.answer_one(node.send_compressed)
    growth_mb = (node.status("VmHWM") - before_kb) / 1024
    print(f"{len(sizes)} bombs: peak + {bombs_mb:.0f} MB; and 200 spoilt files: + {growth_mb:.0f} MB in all")
    assert growth_mb < ALLOWED_GROWTH_MB
    lines = node.end().splitlines()
    print(f"log: {len(lines)} lines, longest {max(map(len, lines))}")
    assert len(lines) < 200


def test_any_number_of_sizes_costs_a_handful_of_networks(start):
    node = start()
    node.answer_one(node.send_raw)
    rng = np.random.default_rng(2)
    figures = []
    for number in range(60):
        height, width = int(rng.integers(8, 512)), int(rng.integers(8, 672))
        image = np.full((height, width, 3), number, np.uint8)
        node.answer_one(lambda image=image: node.peer.publish(image).header.stamp.sec)
        if number >= 9:
            figures.append((node.status("VmRSS") / 1024, node.status("Threads")))
    (first_mb, first_threads), (last_mb, last_threads) = figures[0], figures[-1]
    print(f"10 sizes: {first_mb:.0f} MB, {first_threads} threads; 60: {last_mb:.0f} MB, {last_threads} threads")
    assert last_mb - first_mb < 100
    assert last_threads - first_threads <= 8
    node.end()


VALUES = [
    ParameterValue(type=ParameterType.PARAMETER_NOT_SET),
    *(ParameterValue(type=ParameterType.PARAMETER_BOOL, bool_value=value) for value in (True, False)),
    *(ParameterValue(type=ParameterType.PARAMETER_INTEGER, integer_value=value) for value in (-1, 2**62)),
    *(
        ParameterValue(type=ParameterType.PARAMETER_DOUBLE, double_value=value)
        for value in (-1.0, 0.0, 1e300, float("nan"), float("inf"))
    ),
    *(ParameterValue(type=ParameterType.PARAMETER_STRING, string_value=value) for value in ("", "x" * 10_000)),
]


def test_every_parameter_with_every_wrong_value(start):
    """Each is answered; a refusal says why; frames go on."""
    node = start()
    node.answer_one(node.send_raw)
    names = node.peer.call(ListParameters, "/dfd/list_parameters", ListParameters.Request()).result.names
    refused = accepted = 0
    for name in names:
        if name == "use_sim_time":  # legal, and then stamps of the node stand still
            continue
        wanted = [Parameter(name=name, value=value) for value in VALUES]
        request = SetParameters.Request(parameters=wanted)
        for result in node.peer.call(SetParameters, "/dfd/set_parameters", request).results:
            accepted += result.successful
            refused += not result.successful
            assert result.successful or result.reason
    print(f"{len(names)} parameters x {len(VALUES)} values: {refused} refused, {accepted} accepted")
    assert refused > 10 * accepted
    node.answer_one(node.send_raw)
    node.end()


def test_a_flood_a_publisher_that_goes_and_times_that_jump(start):
    node = start("-p", "use_sim_time:=true")
    clock = node.peer.node.create_publisher(Clock, "/clock", 5)
    node.answer_one(node.send_raw)
    before_mb, answered = node.status("VmRSS") / 1024, len(node.answers)
    sent, began = 0, time.monotonic()
    while time.monotonic() - began < 5:
        node.send_raw()
        sent += 1
        time.sleep(max(0.0, began + sent / 500 - time.monotonic()))
    node.answer_one(node.send_raw)
    growth_mb = node.status("VmRSS") / 1024 - before_mb
    print(f"flood: {sent} images in 5 s, {len(node.answers) - answered} answered, + {growth_mb:.0f} MB")
    assert growth_mb < 100
    for second in (0, 2**31 - 1, 5, -1, -(2**31), 100, 0, 2**31 - 1, 100):
        message = Clock()
        message.clock.sec = second
        clock.publish(message)
        time.sleep(0.1)
        node.answer_one(node.send_raw)
    node.peer.node.destroy_publisher(node.peer._image)
    node.peer._image = None
    time.sleep(1)
    node.answer_one(node.send_raw)
    other = node.peer.node.create_publisher(Image, "image", 5)
    node.answer_one(node.send_raw)
    node.peer.node.destroy_publisher(other)
    lines = node.end().splitlines()
    print(f"log: {len(lines)} lines")
    assert len(lines) < 60


def test_no_port_is_opened_but_those_of_dds(start):
    """UDP alone: no connection of TCP waits for anybody."""
    node = start()
    node.answer_one(node.send_raw)
    inodes = set()
    for link in Path(f"/proc/{node.process.pid}/fd").iterdir():
        target = str(link.readlink())
        if target.startswith("socket:["):
            inodes.add(target[8:-1])
    kinds = {}
    for kind in ("tcp", "tcp6", "udp", "udp6"):
        table = Path(f"/proc/net/{kind}")
        rows = table.read_text().splitlines()[1:] if table.exists() else []
        kinds[kind] = sum(row.split()[9] in inodes for row in rows)
    print(f"sockets: {kinds}")
    assert kinds["tcp"] == kinds["tcp6"] == 0
    assert kinds["udp"] + kinds["udp6"] > 0
    node.end()
