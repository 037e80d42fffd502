"""From a request to a runner that can be trusted: cache, build, self-check, and the next precision if that fails."""

from __future__ import annotations

import logging
import platform
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dfd_perception.errors import BackendError, EngineError
from dfd_perception.inference.backend import BackendRequest, InferenceBackend, Precision
from dfd_perception.inference.tensorrt.build_progress import Progress
from dfd_perception.inference.tensorrt.device_memory import Device, DeviceMemory, open_device
from dfd_perception.inference.tensorrt.engine_builder import BuildSettings, BuiltPlan, build_plan
from dfd_perception.inference.tensorrt.engine_cache import CacheEntry, EngineCache
from dfd_perception.inference.tensorrt.engine_key import EngineKey
from dfd_perception.inference.tensorrt.engine_precision import require_engine_precision
from dfd_perception.inference.tensorrt.picture_io import PICTURE_OUTPUT, as_picture, as_planes
from dfd_perception.inference.tensorrt.precision import GRAPH_RECIPE, NEXT_PRECISION, prepared_graph
from dfd_perception.inference.tensorrt.runner import EngineRunner, Tensor, load_engine
from dfd_perception.inference.tensorrt.self_check import SelfCheckResult, check_engine, stored_frames
from dfd_perception.inference.tensorrt.trt_module import is_strongly_typed, version_of
from dfd_perception.inference.tensorrt.trusted_files import make_private_folder
from dfd_perception.model_folder import sha256_of

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
        self._reference: InferenceBackend | None = None

    def close(self) -> None:
        """Release what no runner has taken."""
        if self._reference is not None:
            self._reference.close()
            self._reference = None
        if self._spare is not None:
            self._spare.close()
            self._spare = None

    def trusted_runner(self) -> tuple[EngineRunner, Precision, dict[str, str]]:
        """A runner that passed its self-check, its precision, and details of it for diagnostics.

        Raises:
            EngineError: no precision gives one.
        """
        precision: Precision | None = self.request.precision
        given_up: list[str] = []
        while precision is not None:
            try:
                runner, details = self._runner(precision)
            except EngineError as error:
                given_up.append(f"{precision}: {error}")
                # Without building, a missing engine is the usual case, and the ladder says so.
                _log.log(logging.WARNING if self.request.build_engines else logging.DEBUG, "TensorRT %s", given_up[-1])
                may_go_on = self.request.build_engines or isinstance(error, NotTrustedError)
                precision = NEXT_PRECISION.get(precision) if may_go_on else None
                continue
            if given_up:
                details["fallback"] = "; ".join(given_up)
            return runner, precision, details
        raise EngineError(f"TensorRT: no engine that works ({'; '.join(given_up)})")

    def cached_precision(self) -> Precision | None:
        """The precision that would run without a build: the one asked for, or one that it gave way to; else None."""
        precision: Precision | None = self.request.precision
        while precision is not None:
            key = self.key(precision)
            entry = None if key is None else self.cache.find(key, self.request.model.name)
            checked = None if entry is None else SelfCheckResult.from_facts(entry.facts)
            if checked is None or checked.passed:
                return precision if checked is not None else None
            precision = NEXT_PRECISION.get(precision)
        return None

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

    def _runner(self, precision: Precision) -> tuple[EngineRunner, dict[str, str]]:
        key = self.key(precision)
        if key is None:
            raise EngineError(not_calibrated(self.request))
        if not self._cache_is_usable():
            return self._from_build(key, precision, keep=False)
        runner = None if self.rebuild else self._from_cache(key, precision)
        if runner is not None:
            return runner
        if not self.request.build_engines:
            size = f"{key.height}x{key.width}"
            raise EngineError(
                f"no engine for {self.request.model.name}, {size}, {precision} in {self.cache.folder}, and none is "
                f"built now; dfd build-engine {self.request.model.path} --precision {precision} --size {size}"
            )
        with self.cache.lock(key, self.request.model.name, self._tell_waiting):
            # Whoever held the lock may have built it.
            runner = None if self.rebuild else self._from_cache(key, precision)
            return runner if runner is not None else self._from_build(key, precision, keep=True)

    def _cache_is_usable(self) -> bool:
        if not self.request.build_engines:
            return True
        try:
            make_private_folder(self.cache.folder)
        except EngineError as error:
            _log.warning("engine cache: %s; without it an engine is built at every start", error)
            return False
        return True

    def _from_cache(self, key: EngineKey, precision: Precision) -> tuple[EngineRunner, dict[str, str]] | None:
        """A runner of the cached engine; None if there is none or it cannot be used and may be built anew."""
        entry = self.cache.find(key, self.request.model.name)
        if entry is None:
            return None
        checked = SelfCheckResult.from_facts(entry.facts)
        if checked is not None and not checked.passed:
            raise NotTrustedError(f"its self-check failed when it was built: {checked.why}")
        try:
            runner, details = self._loaded(entry.plan(), precision)
        except EngineError as error:
            if not self.request.build_engines:
                raise
            self.cache.quarantine(entry.path, str(error))
            return None
        return self._checked(runner, details, precision, entry)

    def _from_build(self, key: EngineKey, precision: Precision, keep: bool) -> tuple[EngineRunner, dict[str, str]]:
        self.tell(Progress(f"preparing the graph ({precision})"))
        graph = prepared_graph(
            self.request,
            precision,
            calibrated=self.calibrated_graph(precision),
            strongly_typed=is_strongly_typed(self.trt),
            pictures=True,
        )
        self.tell(Progress(f"building ({precision})"))
        built = build_plan(self.trt, graph, self.settings, self.cache.timing_cache(key), self.tell)
        _log.info("built a %s engine of %.1f MiB in %.0f s", precision, len(built.plan) / 2**20, built.seconds)
        entry = self._stored(key, built) if keep else None
        try:
            runner, details = self._loaded(built.plan, precision)
        except EngineError as error:
            if entry is not None:
                self.cache.quarantine(entry.path, str(error))
            raise
        return self._checked(runner, details, precision, entry)

    def _stored(self, key: EngineKey, built: BuiltPlan) -> CacheEntry | None:
        """The engine's place in the cache; None if the disk is full, which is no reason not to use it."""
        self.cache.keep_timing_cache(key, built.timing_cache)
        facts = {
            "model": self.request.model.name,
            "built_at": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            "build_seconds": round(built.seconds, 1),
            "convolutions": built.convolutions,
            "cuda": self.device.cuda_version,
        }
        try:
            return self.cache.store(key, self.request.model.name, built.plan, facts)
        except EngineError as error:
            _log.warning("engine cache: %s; the engine will be built again at the next start", error)
            return None

    def _loaded(self, plan: bytes, precision: Precision) -> tuple[EngineRunner, dict[str, str]]:
        self.tell(Progress("loading"))
        engine = load_engine(self.trt, plan)
        layers = require_engine_precision(self.trt, engine, precision)
        height, width = self.request.size
        picture = Tensor((1, height, width, 3), np.dtype(np.uint8))
        tensors = {name: Tensor((1, 1, height, width)) for name in self.request.output_names}
        tensors.update({name: picture for name in ("image", PICTURE_OUTPUT) if name == "image" or name in tensors})
        memory, self._spare = self._spare or open_device(self.request.device), None
        try:
            runner = EngineRunner(self.trt, engine, memory, tensors)
        except BaseException:
            memory.close()
            raise
        return runner, {
            "layers": layers,
            "engine_mib": f"{len(plan) / 2**20:.1f}",
            "context_mib": f"{runner.device_bytes() / 2**20:.1f}",
            "cuda_graph": runner.cuda_graph,
            "memory": memory.library,
        }

    def _checked(
        self, runner: EngineRunner, details: dict[str, str], precision: Precision, entry: CacheEntry | None
    ) -> tuple[EngineRunner, dict[str, str]]:
        """The runner, if its engine passed before or passes now; the result goes into the sidecar."""
        details["engine"] = "not kept" if entry is None else entry.path.stem
        result = None if entry is None else SelfCheckResult.from_facts(entry.facts)
        try:
            if result is None:
                result = self._self_check(runner, precision)
                self._keep_result(entry, result)
            details["self_check"] = result.summary()
            if not result.passed:
                raise NotTrustedError(f"its self-check failed: {result.why}")
        except BaseException:
            runner.close()
            raise
        return runner, details

    def _self_check(self, runner: EngineRunner, precision: Precision) -> SelfCheckResult:
        self.tell(Progress("checking against fp32 on the CPU"))
        if self._reference is None:
            self._reference = _cpu_reference(self.request)
        frames = stored_frames(self.request.size)

        def engine(frame: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
            return as_planes(runner.run({"image": as_picture(frame)}))

        return check_engine(engine, self._reference.run, frames, precision)

    def _keep_result(self, entry: CacheEntry | None, result: SelfCheckResult) -> None:
        if entry is None:
            return
        try:
            self.cache.write_facts(entry, {**entry.facts, "self_check": result.as_dict()})
        except OSError as error:
            _log.warning("engine cache: the self-check's result cannot be kept (%s)", error)

    def _tell_waiting(self) -> None:
        self.tell(Progress("waiting for another process that builds this engine"))


def calibration_path(cache_folder: Path, onnx_sha256: str) -> Path:
    """Where the int8 graph of a model is kept."""
    return cache_folder / "calibrated" / f"{onnx_sha256[:16]}.onnx"


def _cpu_reference(request: BackendRequest) -> InferenceBackend:
    """The float32 network on the CPU, by whichever runtime is there."""
    from dfd_perception.inference.backend import compile_backend

    try:
        return compile_backend(replace(request, precision="fp32", device="cpu"), "auto").backend
    except BackendError as error:
        raise EngineError(f"the engine cannot be checked, no CPU runtime works: {error}") from error


def not_calibrated(request: BackendRequest) -> str:
    """What to say of an int8 engine without a calibration."""
    return (
        f"precision int8: {request.model.name} is not calibrated on this machine; "
        f"dfd build-engine {request.model.path} --precision int8 --calibration FOLDER_OF_PICTURES"
    )
