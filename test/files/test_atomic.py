# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import errno
import os
import stat

import pytest

from dfd_perception.errors import RecordingError
from dfd_perception.files.atomic import replacing, write_bytes, write_text


def test_the_content_is_there_and_nothing_else(tmp_path):
    write_text(tmp_path / "new" / "report.txt", "größer\n")
    assert (tmp_path / "new" / "report.txt").read_text("utf-8") == "größer\n"
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["report.txt"]


def test_what_breaks_off_leaves_the_old_content(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    def interrupted():
        with replacing(path) as file:
            file.write(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_is_one_line_and_leaves_the_old_content(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RecordingError, match="the disk is full.*free some space"):
        write_bytes(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_umask_decides_who_may_read_unless_it_is_private(tmp_path):
    before = os.umask(0o022)
    try:
        write_bytes(tmp_path / "open", b"1")
        with replacing(tmp_path / "closed", private=True) as file:
            file.write(b"1")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "open").stat().st_mode) == 0o644
    assert stat.S_IMODE((tmp_path / "closed").stat().st_mode) == 0o600


def test_a_long_name_still_fits(tmp_path):
    path = tmp_path / ("n" * 250)
    write_bytes(path, b"1")
    assert path.read_bytes() == b"1"


def test_text_may_name_files_that_are_not_utf_8(tmp_path):
    write_text(tmp_path / "report.html", os.fsdecode(b"a\xffb"))
    assert (tmp_path / "report.html").read_text("utf-8") == "a\\udcffb"


def test_a_pipe_or_device_is_not_replaced(tmp_path):
    # As root, /dev/null would become a file of that name, for every program of the machine.
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(RecordingError, match="pipe: cannot be written .it is a device or a pipe, no file"):
        write_text(tmp_path / "pipe", "x")
    assert stat.S_ISFIFO(os.stat(tmp_path / "pipe").st_mode)
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]
