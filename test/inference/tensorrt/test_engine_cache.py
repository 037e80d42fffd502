# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import threading
import time
from dataclasses import fields, replace
from pathlib import Path

import pytest

from dfd_perception.errors import EngineError
from dfd_perception.inference.tensorrt import engine_cache, trusted_files
from dfd_perception.inference.tensorrt.engine_cache import EngineCache
from dfd_perception.inference.tensorrt.engine_key import EngineKey

KEY = EngineKey(
    onnx_sha256="ab" * 32, graph_recipe=1, heads="both", precision="fp16", height=480, width=640,
    library_version="10.3.0.30", gpu_name="Orin (nvgpu)", compute_capability="8.7", architecture="aarch64",
    workspace_mb=1024, optimization_level=3,
)  # fmt: skip
PLAN = b"plan" * 1000


@pytest.fixture
def cache(tmp_path) -> EngineCache:
    return EngineCache(tmp_path / "engines")


def test_an_engine_is_found_again(cache):
    stored = cache.store(KEY, "indoor", PLAN, {"build_seconds": 2.5})
    found = cache.find(KEY, "indoor")
    assert found.plan() == PLAN
    assert found.facts == {"build_seconds": 2.5}
    assert found.path == stored.path
    assert found.path.name.startswith("indoor_both_480x640_fp16_sm87_trt10.3.0.30_")
    assert json.loads(found.sidecar.read_text())["key"]["gpu_name"] == "Orin (nvgpu)"


@pytest.mark.parametrize("name", [field.name for field in fields(EngineKey)])
def test_every_field_makes_another_engine(cache, name):
    cache.store(KEY, "indoor", PLAN, {})
    value = getattr(KEY, name)
    other = replace(KEY, **{name: value + 1 if isinstance(value, int) else value + "x"})
    assert other.digest != KEY.digest
    assert cache.find(other, "indoor") is None
    assert cache.find(KEY, "indoor") is not None


def test_folder_and_files_are_the_users_own(cache):
    entry = cache.store(KEY, "indoor", PLAN, {})
    assert stat.S_IMODE(cache.folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(entry.path.stat().st_mode) == 0o600


def test_a_cut_plan_is_refused(cache):
    entry = cache.store(KEY, "indoor", PLAN, {})
    os.truncate(entry.path, 100)
    with pytest.raises(EngineError, match="100 bytes .* cut short or changed"):
        cache.find(KEY, "indoor").plan()


def test_a_sidecar_of_another_gpu_sets_the_engine_aside(cache, caplog):
    entry = cache.store(KEY, "indoor", PLAN, {})
    said = json.loads(entry.sidecar.read_text())
    said["key"]["gpu_name"] = "NVIDIA H200"
    entry.sidecar.write_text(json.dumps(said))
    assert cache.find(KEY, "indoor") is None
    assert [path.suffix for path in cache.folder.iterdir()] == [".bad"]
    assert "is set aside" in caplog.text


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"key": 3}', b"\xff\xfe"])
def test_a_broken_sidecar_sets_the_engine_aside(cache, content):
    entry = cache.store(KEY, "indoor", PLAN, {})
    entry.sidecar.write_bytes(content)
    assert cache.find(KEY, "indoor") is None
    assert not entry.path.exists()


def test_a_plan_that_others_can_write_is_refused(cache):
    entry = cache.store(KEY, "indoor", PLAN, {})
    entry.path.chmod(0o620)
    with pytest.raises(EngineError, match="others can write it .mode 620.* chmod go-w"):
        cache.find(KEY, "indoor").plan()


def test_a_sidecar_that_others_can_write_is_not_believed(cache):
    entry = cache.store(KEY, "indoor", PLAN, {})
    entry.sidecar.chmod(0o602)
    assert cache.find(KEY, "indoor") is None


def test_a_folder_that_others_can_write_is_refused(cache):
    cache.store(KEY, "indoor", PLAN, {})
    cache.folder.chmod(0o777)
    with pytest.raises(EngineError, match="chmod go-w"):
        cache.find(KEY, "indoor")


def test_a_plan_of_another_user_is_refused(cache, monkeypatch):
    entry = cache.store(KEY, "indoor", PLAN, {})
    if entry.path.stat().st_uid == 0:
        os.chown(entry.path, 12345, -1)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: entry.path.stat().st_uid + 1)
    with pytest.raises(EngineError, match="belongs to user"):
        entry.plan()


def test_a_link_is_not_followed(cache, tmp_path):
    entry = cache.store(KEY, "indoor", PLAN, {})
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(PLAN)
    entry.path.unlink()
    entry.path.symlink_to(elsewhere)
    with pytest.raises(EngineError, match="cannot be read"):
        entry.plan()


def test_a_full_disk_leaves_the_old_engine_and_no_rest(cache, monkeypatch):
    cache.store(KEY, "indoor", PLAN, {})
    real = os.fsync

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(trusted_files.os, "fsync", full)
    with pytest.raises(EngineError, match="the disk is full.*dfd engines prune"):
        cache.store(KEY, "indoor", b"newer", {})
    monkeypatch.setattr(trusted_files.os, "fsync", real)
    assert cache.find(KEY, "indoor").plan() == PLAN
    assert sorted(path.suffix for path in cache.folder.iterdir()) == [".engine", ".json"]


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(EngineError, match="no folder for engines .*; set engine_cache_dir"):
        EngineCache(tmp_path / "file" / "engines").store(KEY, "indoor", PLAN, {})


def test_the_longest_unused_engines_go_first(tmp_path):
    cache = EngineCache(tmp_path, limit_bytes=3 * len(PLAN))
    keys = [replace(KEY, width=32 * n) for n in range(1, 5)]
    for number, key in enumerate(keys[:3]):
        entry = cache.store(key, "indoor", PLAN, {})
        os.utime(entry.sidecar, (1000 + number, 1000 + number))
    cache.find(keys[0], "indoor")  # used: the second is the oldest now
    cache.store(keys[3], "indoor", PLAN, {})
    assert [cache.find(key, "indoor") is not None for key in keys] == [True, False, True, True]


def test_an_engine_larger_than_the_limit_is_kept_while_it_is_the_newest(tmp_path):
    cache = EngineCache(tmp_path, limit_bytes=10)
    assert cache.store(KEY, "indoor", PLAN, {}).plan() == PLAN


def test_prune_removes_everything_down_to_a_limit(cache):
    cache.store(KEY, "indoor", PLAN, {})
    other = cache.store(replace(KEY, width=64), "indoor", PLAN, {})
    cache.quarantine(other.path, "for the test")
    removed = cache.prune()
    assert sorted(path.suffix for path in removed) == [".bad", ".engine"]
    assert cache.entries() == []


def test_entries_are_listed_by_last_use(cache):
    first = cache.store(KEY, "indoor", PLAN, {})
    second = cache.store(replace(KEY, width=64), "indoor", PLAN, {})
    os.utime(first.sidecar, (2e9, 2e9))
    assert [entry.path for entry in cache.entries()] == [first.path, second.path]


def test_one_process_builds_and_the_other_waits(cache):
    child = (
        "import sys, time; from pathlib import Path\n"
        "from dfd_perception.inference.tensorrt.engine_cache import EngineCache\n"
        "from dfd_perception.inference.tensorrt.engine_key import EngineKey\n"
        f"key = EngineKey(**{KEY.__dict__!r})\n"
        f"cache = EngineCache(Path({str(cache.folder)!r}))\n"
        "with cache.lock(key, 'indoor'):\n"
        "    print('held', flush=True); time.sleep(0.6); cache.store(key, 'indoor', b'from the child', {})\n"
    )
    with subprocess.Popen([sys.executable, "-c", child], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        waited = []
        with cache.lock(KEY, "indoor", lambda: waited.append(1)):
            assert cache.find(KEY, "indoor").plan() == b"from the child"
        assert waited


def test_the_lock_of_a_killed_process_is_free(cache):
    child = (
        "import os; from pathlib import Path\n"
        "from dfd_perception.inference.tensorrt.engine_cache import EngineCache\n"
        "from dfd_perception.inference.tensorrt.engine_key import EngineKey\n"
        f"with EngineCache(Path({str(cache.folder)!r})).lock(EngineKey(**{KEY.__dict__!r}), 'indoor'):\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    assert subprocess.run([sys.executable, "-c", child]).returncode == -9
    started = time.monotonic()
    with cache.lock(KEY, "indoor"):
        assert time.monotonic() - started < 1


def test_waiting_ends(cache, monkeypatch):
    monkeypatch.setattr(engine_cache, "LOCK_TIMEOUT_S", 0.3)
    holding, done = threading.Event(), threading.Event()

    def hold():
        with cache.lock(KEY, "indoor"):
            holding.set()
            done.wait(5)

    thread = threading.Thread(target=hold)
    thread.start()
    holding.wait(5)
    try:
        with pytest.raises(EngineError, match="another process has been building"), cache.lock(KEY, "indoor"):
            pass
    finally:
        done.set()
        thread.join()


def test_the_timing_cache_is_by_gpu_and_tensorrt(cache):
    assert cache.timing_cache(KEY) == b""
    cache.keep_timing_cache(KEY, b"times")
    assert cache.timing_cache(replace(KEY, heads="depth", precision="fp32", width=32)) == b"times"
    assert cache.timing_cache(replace(KEY, library_version="10.3.0.26")) == b""
    assert cache.timing_cache(replace(KEY, gpu_name="Thor")) == b""


def test_the_folder_is_the_users_cache(monkeypatch, tmp_path):
    monkeypatch.delenv("DFD_ENGINE_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert engine_cache.default_folder() == tmp_path / "dfd_perception" / "engines"
    monkeypatch.setenv("DFD_ENGINE_CACHE", "~/engines")
    assert engine_cache.default_folder() == Path.home() / "engines"


def test_it_needs_the_standard_library_only():
    program = (
        "import sys\n"
        "sys.modules.update(dict.fromkeys(('numpy', 'cv2', 'onnx', 'torch', 'tensorrt', 'yaml')))\n"
        "import dfd_perception.errors\n"
        "import importlib.util, types\n"
        "for package in ('dfd_perception.inference', 'dfd_perception.inference.tensorrt'):\n"
        "    module = types.ModuleType(package)\n"
        "    module.__path__ = [str(__import__('pathlib').Path(dfd_perception.__file__).parent.joinpath("
        "*package.split('.')[1:]))]\n"
        "    sys.modules[package] = module\n"
        "import dfd_perception.inference.tensorrt.engine_cache\n"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
