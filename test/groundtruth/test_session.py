# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Sessions on disk: what comes back, what a killed process, a full disk and a slow disk leave behind."""

from __future__ import annotations

import json
import resource
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from dfd_perception.core.clock import FrameStamps
from dfd_perception.errors import DatasetError, RecordingError
from dfd_perception.groundtruth.recorder import SessionRecorder
from dfd_perception.groundtruth.session import RAW, RecordedMoment, SessionDescription, SessionWriter
from dfd_perception.groundtruth.session_index import COLUMNS, read_index, rebuild_index

START_NS = 1_700_000_000_000_000_000
PERIOD_NS = 66_666_667
PARTS = ("depth", "image")


def moment(number: int, rng: np.random.Generator | None = None) -> RecordedMoment:
    rng = rng or np.random.default_rng(number)
    depth = rng.integers(400, 3000, (48, 64)).astype(np.uint16)
    depth[:12] = 0
    stamp = START_NS + number * PERIOD_NS
    return RecordedMoment(
        parts={"depth": depth, "image": rng.integers(0, 255, (60, 80, 3)).astype(np.uint8)},
        stamps=FrameStamps(device_ns=number * PERIOD_NS, arrival_ns=stamp + 9_000_000, ros_ns=stamp + 2_500_000),
        image_ns=stamp,
    )


def new_writer(session: Path, **options) -> SessionWriter:
    options = {"least_free_mb": 0.0} | options
    return SessionWriter(session, SessionDescription(source="test", parts=PARTS), **options)


def test_what_was_written_comes_back(tmp_path):
    writer = new_writer(tmp_path / "session", texts={"calibration.yaml": "focal: 1\n"})
    for number in range(3):
        writer.write(moment(number))
    writer.close({"dropped": 0})
    raw = tmp_path / "session" / RAW
    rows = read_index(raw / "frames.csv")
    assert [row.stem for row in rows] == [f"{START_NS + n * PERIOD_NS:019d}" for n in range(3)]
    assert rows[1].stamps == moment(1).stamps
    assert rows[1].offset_ms == pytest.approx(2.5)
    assert rows[1].valid_fraction == 0.75
    for number, row in enumerate(rows):
        expected = moment(number).parts
        depth = cv2.imread(str(raw / "depth" / f"{row.stem}.png"), cv2.IMREAD_UNCHANGED)
        image = cv2.imread(str(raw / "image" / f"{row.stem}.png"))[..., ::-1]
        np.testing.assert_array_equal(depth, expected["depth"])
        np.testing.assert_array_equal(image, expected["image"])
    assert (raw / "calibration.yaml").read_text() == "focal: 1\n"
    description = SessionDescription.read(tmp_path / "session")
    assert description.counts == {"moments": 3, "dropped": 0}
    assert description.parts == PARTS


def test_jpeg_bytes_are_kept_and_lossy_images_stay_close(tmp_path):
    writer = new_writer(tmp_path / "session", lossless=False)
    image = cv2.GaussianBlur(moment(0).parts["image"], (0, 0), 3)
    jpeg = cv2.imencode(".jpg", image)[1].tobytes()
    writer.write(RecordedMoment(parts={"depth": moment(0).parts["depth"], "image": jpeg}, stamps=FrameStamps(ros_ns=5)))
    writer.write(
        RecordedMoment(parts={"depth": moment(0).parts["depth"], "image": image}, stamps=FrameStamps(ros_ns=6))
    )
    writer.close()
    folder = tmp_path / "session" / RAW / "image"
    assert (folder / f"{5:019d}.jpg").read_bytes() == jpeg
    stored = cv2.imread(str(folder / f"{6:019d}.jpg"))[..., ::-1]
    assert np.abs(stored.astype(int) - image).mean() < 2
    depth = cv2.imread(str(folder.parent / "depth" / f"{6:019d}.png"), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(depth, moment(0).parts["depth"])


def test_recordings_are_never_overwritten(tmp_path):
    new_writer(tmp_path / "session").close()
    with pytest.raises(DatasetError, match="exists"):
        new_writer(tmp_path / "session")


def test_a_session_that_is_being_recorded_is_left_alone(tmp_path):
    writer = new_writer(tmp_path / "session")
    writer.write(moment(0))
    half = writer.raw / "depth" / ".half.png.part"
    half.write_bytes(b"what the recorder is about to finish")
    with pytest.raises(DatasetError, match="is being written, by a recorder"):
        rebuild_index(writer.raw, PARTS)
    assert half.exists()
    writer.write(moment(1))
    writer.close()
    assert len(rebuild_index(writer.raw, PARTS).rows) == 2
    assert not half.exists()


@pytest.mark.parametrize("place", ["/proc/session", "file/session"])
def test_a_place_that_takes_no_folder_is_one_line(tmp_path, place):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(RecordingError, match="cannot be written: .*; choose another folder"):
        new_writer(tmp_path / place)


def test_moment_with_a_part_missing_is_refused(tmp_path):
    writer = new_writer(tmp_path / "session")
    with pytest.raises(DatasetError, match="depth.*image"):
        writer.write(RecordedMoment(parts={"depth": moment(0).parts["depth"]}, stamps=FrameStamps(ros_ns=1)))
    writer.close()


@pytest.mark.fault
def test_free_space_guard_stops_before_the_disk_is_full(tmp_path):
    writer = new_writer(tmp_path / "session", least_free_mb=1e9)
    with pytest.raises(RecordingError, match="are free"):
        writer.write(moment(0))
    writer.close()
    assert read_index(tmp_path / "session" / RAW / "frames.csv") == []


RECORD_FOR_EVER = textwrap.dedent(
    """
    import sys
    sys.path.insert(0, {folder!r})
    from pathlib import Path
    from test_session import moment, new_writer
    from dfd_perception.groundtruth.recorder import SessionRecorder
    {preparation}
    recorder = SessionRecorder(new_writer(Path(sys.argv[1])))
    for number in range({count}):
        recorder.offer(moment(number), patiently=True)
        if number == 5:
            print("recording", flush=True)
    print(recorder.stop())
    """
)


def record_in_child(session: Path, count: int, preparation: str = "") -> subprocess.Popen:
    program = RECORD_FOR_EVER.format(folder=str(Path(__file__).parent), count=count, preparation=preparation)
    return subprocess.Popen([sys.executable, "-c", program, str(session)], stdout=subprocess.PIPE, text=True)


@pytest.mark.fault
@pytest.mark.parametrize("delay_s", [0.05, 0.31, 0.52])
def test_killed_recording_keeps_every_whole_frame(tmp_path, delay_s):
    child = record_in_child(tmp_path / "session", 1_000_000)
    assert child.stdout.readline() == "recording\n"
    time.sleep(delay_s)
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()
    raw = tmp_path / "session" / RAW
    rebuilt = rebuild_index(raw, PARTS)
    assert len(rebuilt.rows) > 5
    assert rebuilt.recovered + rebuilt.lost <= 4, "at most what two writers had in hand"
    assert not list(raw.glob("*/*.part"))
    assert read_index(raw / "frames.csv") == rebuilt.rows
    for row in rebuilt.rows:
        number = round((int(row.stem) - START_NS) / PERIOD_NS)
        depth = cv2.imread(str(raw / "depth" / f"{row.stem}.png"), cv2.IMREAD_UNCHANGED)
        np.testing.assert_array_equal(depth, moment(number).parts["depth"])
    assert SessionDescription.read(tmp_path / "session").counts == {}


def test_index_is_rebuilt_from_the_files_alone(tmp_path):
    writer = new_writer(tmp_path / "session")
    for number in range(5):
        writer.write(moment(number))
    writer.close()
    raw = tmp_path / "session" / RAW
    stems = [row.stem for row in read_index(raw / "frames.csv")]
    text = (raw / "frames.csv").read_text().splitlines(keepends=True)
    (raw / "frames.csv").write_text("".join(text[:2]) + text[2][:30])  # torn in the second row
    (raw / "image" / f"{stems[3]}.png").unlink()
    torn = raw / "depth" / f"{stems[4]}.png"
    torn.write_bytes(torn.read_bytes()[:-20])
    (raw / "image" / f"{stems[0]}.png.part").write_bytes(b"half")
    rebuilt = rebuild_index(raw, PARTS)
    assert [row.stem for row in rebuilt.rows] == stems[:3]
    assert (rebuilt.recovered, rebuilt.lost, rebuilt.partial_files) == (2, 2, 1)
    assert rebuilt.rows[0].offset_ms == pytest.approx(2.5)
    assert rebuilt.rows[1].stamps.ros_ns == int(stems[1])


def test_foreign_csv_is_refused(tmp_path):
    (tmp_path / "frames.csv").write_text("a,b\n1,2\n")
    with pytest.raises(DatasetError, match=COLUMNS[0]):
        read_index(tmp_path / "frames.csv")


@pytest.mark.fault
def test_full_disk_stops_cleanly(tmp_path):
    """A limit on file size stands for the full disk: the index cannot grow beyond it, as with no space left."""
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (16384, 16384))"
    child = record_in_child(tmp_path / "session", 400, limit)
    report = child.communicate(timeout=60)[0]
    assert child.returncode == 0
    assert "recording has stopped" in report
    raw = tmp_path / "session" / RAW
    rows = read_index(raw / "frames.csv")
    assert len(rows) > 50
    assert not list(raw.glob("*/*.part"))
    rebuilt = rebuild_index(raw, PARTS)
    assert (rebuilt.recovered, rebuilt.lost) == (0, 0), "no file without its row, no row without its files"
    description = json.loads((raw / "session.json").read_text())
    counts = description["counts"]
    assert counts["moments"] == len(rows)
    assert counts["moments"] + counts["failed"] + counts["dropped"] == counts["offered"] == 400


@pytest.mark.fault
def test_a_session_that_cannot_begin_leaves_its_name_free(tmp_path):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20, limits[1]))
    try:
        with pytest.raises(RecordingError, match="cannot be written"):
            new_writer(tmp_path / "session")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not (tmp_path / "session").exists()
    new_writer(tmp_path / "session").close()


@pytest.mark.fault
def test_full_file_system_stops_cleanly(tmp_path):
    """A file system of 1 MB, where we may mount one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)], capture_output=True)
    if mounted.returncode != 0:
        pytest.skip("mounting needs rights that we lack here")
    try:
        recorder = SessionRecorder(new_writer(disk / "session"))
        for number in range(200):
            recorder.offer(moment(number), patiently=True)
        progress = recorder.stop()
        assert "the disk is full" in progress.error
        assert progress.written + progress.failed == progress.offered == 200
        rebuilt = rebuild_index(disk / "session" / RAW, PARTS) if _make_room(disk) else None
        assert len(rebuilt.rows) == progress.written > 5
        assert rebuilt.lost == 0
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def _make_room(disk: Path) -> bool:
    return subprocess.run(["mount", "-o", "remount,size=4m", str(disk)]).returncode == 0


@pytest.mark.fault
def test_slow_disk_drops_and_counts(tmp_path, monkeypatch):
    writer = new_writer(tmp_path / "session")
    write = writer.write

    def write_slowly(moment):
        time.sleep(0.05)
        write(moment)

    monkeypatch.setattr(writer, "write", write_slowly)
    recorder = SessionRecorder(writer, queue_size=4)
    taken = [recorder.offer(moment(number)) for number in range(40)]
    progress = recorder.stop()
    assert progress.offered == 40
    assert progress.dropped == taken.count(False) > 20
    assert progress.written == taken.count(True)
    assert progress.error is None


def test_description_of_another_format_is_refused(tmp_path):
    with pytest.raises(DatasetError, match="not a recorded session"):
        SessionDescription.read(tmp_path)
    new_writer(tmp_path / "session").close()
    path = tmp_path / "session" / RAW / "session.json"
    path.write_text(path.read_text().replace('"format": 1', '"format": 9'))
    with pytest.raises(DatasetError, match="format 9"):
        SessionDescription.read(tmp_path / "session")


@pytest.mark.parametrize(
    "content",
    [
        "[" * 100_000,
        "5",
        '{"format": 1}',
        '{"format": 1, "source": "x", "parts": 7}',
        '{"format": 1, "source": "x", "parts": ["depth"], "more": 1}',
        "\xff",
    ],
    ids=["deep", "number", "lacking", "type", "unknown", "bytes"],
)
def test_a_damaged_description_is_one_line(tmp_path, content):
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "session.json").write_bytes(content.encode("latin-1"))
    with pytest.raises(DatasetError, match=r"session\.json") as caught:
        SessionDescription.read(tmp_path)
    assert len(str(caught.value)) < 500
    assert "\n" not in str(caught.value)


def test_a_session_that_vanishes_stops_the_recording_in_words(tmp_path):
    import shutil

    recorder = SessionRecorder(new_writer(tmp_path / "session"))
    assert recorder.offer(moment(0), patiently=True)
    while recorder.progress().waiting:
        time.sleep(0.01)
    shutil.rmtree(tmp_path / "session")
    recorder.offer(moment(1), patiently=True)
    progress = recorder.stop()
    assert (progress.written, progress.failed) == (1, 1)
    assert "is gone (removed, or its disk was unplugged): recording has stopped" in progress.error


def test_whatever_a_writer_meets_the_threads_live_on(tmp_path, monkeypatch):
    writer = new_writer(tmp_path / "session")
    recorder = SessionRecorder(writer, queue_size=2)
    monkeypatch.setattr(writer, "write", lambda moment: {}["what no one thought of"])
    for number in range(10):
        recorder.offer(moment(number), patiently=True)
    progress = recorder.stop()
    assert progress.error == "recording has stopped: 'what no one thought of' is missing"
    assert progress.failed == progress.offered


def test_padded_files_are_whole_and_a_long_line_is_left_out(tmp_path):
    writer = new_writer(tmp_path / "session", lossless=False)
    for number in range(3):
        writer.write(moment(number))
    writer.close()
    raw = tmp_path / "session" / RAW
    for path in [*(raw / "image").iterdir(), *(raw / "depth").iterdir()]:
        path.write_bytes(path.read_bytes() + bytes(4096))
    with (raw / "frames.csv").open("a") as file:
        file.write("x" * 300_000 + ",1,1,1,1,1\n")
    rebuilt = rebuild_index(raw, PARTS)
    assert (len(rebuilt.rows), rebuilt.lost) == (3, 0)
