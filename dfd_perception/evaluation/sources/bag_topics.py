# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Which topics of a bag are the image, its depth and its all-in-focus partner: as asked, or found by content."""

from __future__ import annotations

from dataclasses import dataclass

from dfd_perception.bags.reader import BagReader
from dfd_perception.core.camera_info import CAMERA_INFO_TYPE
from dfd_perception.core.compressed_depth import holds_depth
from dfd_perception.core.image_encoding import COMPRESSED_IMAGE_TYPE, IMAGE_TYPE, is_depth_encoding
from dfd_perception.errors import DatasetError

IMAGE_TYPES = (IMAGE_TYPE, COMPRESSED_IMAGE_TYPE)
AIF_WORDS = ("aif", "all_in_focus", "sharp")
DEPTH_WORD = "depth"
PACKED_SUFFIXES = ("/compressedDepth", "/compressed")
IMAGE_ENDINGS = ("/image", "/image_raw", "/image_color", "/image_rect", "/image_rect_color", "/defocused")


@dataclass(frozen=True)
class BagTopics:
    """Names of the topics that an evaluation reads; None for one that the bag lacks."""

    image: str
    depth: str | None = None
    aif: str | None = None
    camera_info: str | None = None


def choose_topics(bag: BagReader, image: str | None, depth: str | None, aif: str | None) -> BagTopics:
    """Check the asked topics and look for those that were not named.

    Raises:
        DatasetError: absent, of another type, or several fit; the message lists what there is.
    """
    for topic in (image, depth, aif):
        if topic is not None:
            _require(bag, topic, IMAGE_TYPES)
    depth_like = [name for name in bag.topics_of_type(*IMAGE_TYPES) if _is_depth(bag, name)]
    images = [n for n in bag.topics_of_type(*IMAGE_TYPES) if n not in depth_like and n not in (depth, aif)]
    if aif is None:
        named = [n for n in images if n != image and any(word in n.lower() for word in AIF_WORDS)]
        aif = _only(bag, named, "--aif-topic") if named else None
    if image is None:
        candidates = [n for n in images if n != aif]
        preferred = [n for n in candidates if n.removesuffix("/compressed").endswith(IMAGE_ENDINGS)]
        image = _only(bag, preferred or candidates, "--image-topic")
    if depth is None and depth_like:
        # The same depth packed beside itself is one topic.
        packed = [f"{name}{suffix}" for name in depth_like for suffix in PACKED_SUFFIXES]
        raw = [name for name in depth_like if name not in packed]
        depth = _only(bag, raw, "--depth-topic")
    return BagTopics(image, depth, aif, _camera_info_of(bag, image))


def listed(bag: BagReader) -> str:
    """The bag's topics in words."""
    return ", ".join(f"{t.name} ({t.msgtype}, {t.message_count})" for t in bag.topics.values()) or "no topics"


def _require(bag: BagReader, name: str, types: tuple[str, ...]) -> None:
    topic = bag.topics.get(name)
    if topic is None:
        raise DatasetError(f"{bag.path}: no topic {name}; it has {listed(bag)}")
    if topic.msgtype not in types:
        raise DatasetError(
            f"{bag.path}: topic {name} holds {topic.msgtype}, not {' or '.join(types)}; it has {listed(bag)}"
        )
    if not topic.message_count:
        raise DatasetError(f"{bag.path}: topic {name} holds no message; it has {listed(bag)}")


def _only(bag: BagReader, candidates: list[str], option: str) -> str:
    if len(candidates) == 1:
        return candidates[0]
    problem = f"{', '.join(candidates)} all fit" if candidates else "no topic fits"
    raise DatasetError(f"{bag.path}: {problem}; name one with {option}; the bag has {listed(bag)}")


def _is_depth(bag: BagReader, name: str) -> bool:
    """By the first message; False where it cannot be decoded, which whoever reads the topic says."""
    try:
        first = next(bag.messages([name]), None)
    except DatasetError:
        return False
    if first is None:
        return False
    if first.msgtype == COMPRESSED_IMAGE_TYPE:
        return holds_depth(first.message.format)
    encoding = first.message.encoding
    # Whoever reads it asks for its unit; an image of 16 bits has another name.
    return is_depth_encoding(encoding) or (encoding.strip().lower() == "mono16" and DEPTH_WORD in name.lower())


def _camera_info_of(bag: BagReader, image: str) -> str | None:
    """The camera_info beside the image's topic, or the only one."""
    infos = bag.topics_of_type(CAMERA_INFO_TYPE)
    parent = image.removesuffix("/compressed").rpartition("/")[0]
    beside = f"{parent}/camera_info"
    if beside in infos:
        return beside
    return infos[0] if len(infos) == 1 else None
