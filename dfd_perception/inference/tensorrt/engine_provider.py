# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""From a request to a runner that can be trusted: cache, build, self-check."""

from __future__ import annotations

import logging
import platform
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from dfd_perception.errors import EngineError
from dfd_perception.files.model_folder import sha256_of
from dfd_perception.inference.backends.interface import BackendRequest, Precision
from dfd_perception.inference.tensorrt.build_progress import Progress
from dfd_perception.inference.tensorrt.cpu_reference import CpuReference
from dfd_perception.inference.tensorrt.device_library import open_device
from dfd_perception.inference.tensorrt.device_memory import Device, DeviceMemory
from dfd_perception.inference.tensorrt.engine_builder import BuildSettings, BuiltPlan, build_plan
from dfd_perception.inference.tensorrt.engine_cache import CacheEntry, EngineCache
from dfd_perception.inference.tensorrt.engine_key import EngineKey
from dfd_perception.inference.tensorrt.engine_loading import LoadedEngine, load_plan
from dfd_perception.inference.tensorrt.graph_precision import GRAPH_RECIPE, prepared_graph
from dfd_perception.inference.tensorrt.quantised_graph import calibration_path, not_calibrated
from dfd_perception.inference.tensorrt.self_check import SelfCheckResult
from dfd_perception.inference.tensorrt.trt_module import is_strongly_typed, version_of
from dfd_perception.inference.tensorrt.trusted_files import make_private_folder

_log = logging.getLogger(__name__)


class NotTrustedError(EngineError):
    """An engine that loads and runs, and says something else than the float32 network."""


class EngineProvider:
    """One request on its way to a runner."""

    def __init__(
        self,
        trt: Any,
        request: BackendRequest,
        settings: BuildSettings,
        tell: Callable[[Progress], None],
        rebuild: bool = False,
    ) -> None:
        self.trt = trt
        self.request = request
        self.settings = settings
        self.tell = tell
        self.rebuild = rebuild
        self.cache = EngineCache(request.engine_cache_dir)
        self._spare: DeviceMemory | None = open_device(request.device)
        self.device: Device = self._spare.device()
        self._onnx_sha256 = sha256_of(request.model.onnx_path)
        self._reference = CpuReference(request)

    def close(self) -> None:
        """Release what no runner has taken."""
        self._reference.close()
        if self._spare is not None:
            self._spare.close()
            self._spare = None

    def runner(self, precision: Precision) -> LoadedEngine:
        """A runner of this precision that passed its self-check, and details of it for diagnostics.

        Raises:
            NotTrustedError: it failed the check, now or when it was built.
            EngineError: there is none and none may be built, or building or loading failed.
        """
        key = self.key(precision)
        if key is None:
            raise EngineError(not_calibrated(self.request.model))
        if not self._cache_is_usable():
            return self._from_build(key, precision, keep=False)
        loaded = None if self.rebuild else self._from_cache(key, precision)
        if loaded is not None:
            return loaded
        if not self.request.build_engines:
            size = f"{key.height}x{key.width}"
            raise EngineError(
                f"no engine for {self.request.model.name}, {size}, {precision} in {self.cache.folder}, and none is "
                f"built now; dfd build-engine {self.request.model.path} --precision {precision} --size {size}"
            )
        with self.cache.lock(key, self.request.model.name, self._tell_waiting):
            # Whoever held the lock may have built it.
            loaded = None if self.rebuild else self._from_cache(key, precision)
            return loaded if loaded is not None else self._from_build(key, precision, keep=True)

    def calibrated_graph(self, precision: Precision) -> Path | None:
        """The graph with quantisers of this model, where one was made."""
        path = calibration_path(self.cache.folder, self._onnx_sha256)
        return path if precision == "int8" and path.is_file() else None

    def key(self, precision: Precision) -> EngineKey | None:
        """Identity of the engine; None for an int8 one of a model that is not calibrated."""
        calibrated = self.calibrated_graph(precision)
        if precision == "int8" and calibrated is None:
            return None
        return EngineKey(
            onnx_sha256=self._onnx_sha256,
            graph_recipe=GRAPH_RECIPE,
            calibration_sha256=sha256_of(calibrated) if calibrated else "",
            heads=self.request.heads,
            precision=precision,
            height=self.request.size[0],
            width=self.request.size[1],
            library_version=version_of(self.trt),
            gpu_name=self.device.name,
            compute_capability=self.device.compute_capability,
            architecture=platform.machine(),
            workspace_mb=self.settings.workspace_mb,
            optimization_level=self.settings.optimization_level,
        )

    def _cache_is_usable(self) -> bool:
        if not self.request.build_engines:
            return True
        try:
            make_private_folder(self.cache.folder)
        except EngineError as error:
            _log.warning("engine cache: %s; without it an engine is built at every start", error)
            return False
        return True

    def _from_cache(self, key: EngineKey, precision: Precision) -> LoadedEngine | None:
        """A runner of the cached engine; None if there is none or it cannot be used and may be built anew."""
        entry = self.cache.find(key, self.request.model.name)
        if entry is None:
            return None
        checked = SelfCheckResult.from_facts(entry.facts)
        if checked is not None and not checked.passed:
            raise NotTrustedError(f"its self-check failed when it was built: {checked.why}")
        try:
            loaded = self._loaded(entry.plan(), precision)
        except EngineError as error:
            if not self.request.build_engines:
                raise
            self.cache.quarantine(entry.path, str(error))
            return None
        return self._checked(loaded, precision, entry)

    def _from_build(self, key: EngineKey, precision: Precision, keep: bool) -> LoadedEngine:
        self.tell(Progress(f"preparing the graph ({precision})"))
        graph = prepared_graph(
            self.request,
            precision,
            calibrated=self.calibrated_graph(precision),
            strongly_typed=is_strongly_typed(self.trt),
            images=True,
        )
        self.tell(Progress(f"building ({precision})"))
        built = build_plan(self.trt, graph, self.settings, self.cache.timing_cache(key), self.tell)
        _log.info("built a %s engine of %.1f MiB in %.0f s", precision, len(built.plan) / 2**20, built.build_s)
        entry = self._stored(key, built) if keep else None
        try:
            loaded = self._loaded(built.plan, precision)
        except EngineError as error:
            if entry is not None:
                self.cache.quarantine(entry.path, str(error))
            raise
        return self._checked(loaded, precision, entry)

    def _stored(self, key: EngineKey, built: BuiltPlan) -> CacheEntry | None:
        """The engine's place in the cache; None if the disk is full, which is no reason not to use it."""
        self.cache.keep_timing_cache(key, built.timing_cache)
        facts = {
            "model": self.request.model.name,
            "built_at": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            "build_seconds": round(built.build_s, 1),
            "convolutions": built.convolutions,
            "cuda": self.device.cuda_version,
        }
        try:
            return self.cache.store(key, self.request.model.name, built.plan, facts)
        except EngineError as error:
            _log.warning("engine cache: %s; the engine will be built again at the next start", error)
            return None

    def _loaded(self, plan: bytes, precision: Precision) -> LoadedEngine:
        self.tell(Progress("loading"))
        return load_plan(self.trt, plan, self.request, precision, self._memory)

    def _memory(self) -> DeviceMemory:
        memory, self._spare = self._spare or open_device(self.request.device), None
        return memory

    def _checked(self, loaded: LoadedEngine, precision: Precision, entry: CacheEntry | None) -> LoadedEngine:
        """The runner, if its engine passed before or passes now; the result goes into the sidecar."""
        runner, details = loaded
        details["engine"] = "not kept" if entry is None else entry.path.stem
        result = None if entry is None else SelfCheckResult.from_facts(entry.facts)
        try:
            if result is None:
                self.tell(Progress("checking against fp32 on the CPU"))
                result = self._reference.check(runner, precision)
                self._keep_result(entry, result)
            details["self_check"] = result.summary()
            if not result.passed:
                raise NotTrustedError(f"its self-check failed: {result.why}")
        except BaseException:
            runner.close()
            raise
        return loaded

    def _keep_result(self, entry: CacheEntry | None, result: SelfCheckResult) -> None:
        if entry is None:
            return
        try:
            self.cache.write_facts(entry, {**entry.facts, "self_check": asdict(result)})
        except OSError as error:
            _log.warning("engine cache: the self-check's result cannot be kept (%s)", error)

    def _tell_waiting(self) -> None:
        self.tell(Progress("waiting for another process that builds this engine"))
