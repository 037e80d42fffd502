# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""ONNX to plan. What a TensorRT can do is asked of the module, attribute by attribute, never of its version."""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dfd_perception.errors import EngineError
from dfd_perception.inference.tensorrt import weak_typing
from dfd_perception.inference.tensorrt.build_progress import Progress, attach_progress_monitor
from dfd_perception.inference.tensorrt.engine_precision import require_network_precision, require_plan_size
from dfd_perception.inference.tensorrt.graph_precision import PreparedGraph
from dfd_perception.inference.tensorrt.trt_module import is_strongly_typed, logger_for

if TYPE_CHECKING:
    import tensorrt

_log = logging.getLogger(__name__)

OUT_OF_MEMORY_WORDS = ("could not find any implementation", "out of memory", "outofmemory", "insufficient workspace")


@dataclass(frozen=True, kw_only=True)
class BuildSettings:
    """What changes the engine beside the graph."""

    workspace_mb: int = 1024
    """Scratch memory that tactics may use [MiB]. On a Jetson it is taken from the memory of everything else."""
    optimization_level: int = 3
    """0 (quick build) to 5 (slow build, more tactics tried)."""


@dataclass(frozen=True)
class BuiltPlan:
    """A serialised engine and what is known of it."""

    plan: bytes
    build_s: float
    timing_cache: bytes
    """What the builder measured; makes the next build on this GPU quicker. Empty where there is none."""
    convolutions: dict[str, int]
    """Convolutions of the network by the type of their result; empty where types are the builder's choice."""


def build_plan(
    trt: Any,
    graph: PreparedGraph,
    settings: BuildSettings | None = None,
    timing_cache: bytes = b"",
    on_progress: Callable[[Progress], None] | None = None,
) -> BuiltPlan:
    """Build an engine; takes seconds on a desktop, minutes on a Jetson. Runs without a GPU where TensorRT does.

    Args:
        trt: the TensorRT module.
        timing_cache: what an earlier build on the same GPU with the same TensorRT returned.
        on_progress: called from the builder's threads, at most a few times a second.

    Raises:
        EngineError: any step refused; with the parser's or builder's own words. Also when the engine is not of
            the precision that was asked for.
    """
    settings = settings or BuildSettings()
    logger = logger_for(trt)
    logger.take_problems()
    started = time.monotonic()
    builder: tensorrt.Builder = _made(trt.Builder(logger), "Builder", logger)
    typed = is_strongly_typed(trt)
    flags = _strong_typing_flags(trt) if typed else weak_typing.network_flags(trt)
    network: tensorrt.INetworkDefinition = _made(builder.create_network(flags), "create_network", logger)
    parser: tensorrt.OnnxParser = _made(trt.OnnxParser(network, logger), "OnnxParser", logger)
    if not parser.parse(graph.content):
        raise EngineError(f"TensorRT {trt.__version__} does not accept this graph: {_parser_errors(parser)}")
    convolutions = require_network_precision(trt, network, graph.precision) if typed else {}
    config = _configured(trt, builder, graph, settings, logger)
    cache = _attach_timing_cache(config, timing_cache)
    monitor = attach_progress_monitor(trt, config, on_progress)
    if not typed:
        weak_typing.allow_precision(trt, builder, config, graph.precision)
    memory: tensorrt.IHostMemory | None = builder.build_serialized_network(network, config)
    if memory is None:
        raise EngineError(_why_the_build_failed(logger.take_problems(), settings))
    plan = bytes(memory)
    del monitor, memory
    require_plan_size(plan, graph)
    return BuiltPlan(plan, time.monotonic() - started, _serialised(cache), convolutions)


def _strong_typing_flags(trt: Any) -> int:
    # From 11 on every network is strongly typed and the flag only says so; one day it may be gone.
    flag = getattr(trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED", None)
    return 0 if flag is None else 1 << int(flag)


def _configured(
    trt: Any, builder: tensorrt.Builder, graph: PreparedGraph, settings: BuildSettings, logger: Any
) -> tensorrt.IBuilderConfig:
    config: tensorrt.IBuilderConfig = _made(builder.create_builder_config(), "create_builder_config", logger)
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, settings.workspace_mb << 20)
    if hasattr(config, "builder_optimization_level"):
        config.builder_optimization_level = settings.optimization_level
    if hasattr(trt, "ProfilingVerbosity"):
        # The inspector then knows the type of each layer, which is how the engine's precision is verified.
        config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
    tf32 = getattr(trt.BuilderFlag, "TF32", None)
    if tf32 is not None and graph.precision == "fp32":
        # On by default, and has the ten bits of float16: not what one falls back to when float16 is too coarse.
        config.clear_flag(tf32)
    return config


def _attach_timing_cache(config: tensorrt.IBuilderConfig, content: bytes) -> tensorrt.ITimingCache | None:
    """A timing cache on the config, from `content` if this TensorRT takes it, else empty; None if it has none."""
    if not hasattr(config, "create_timing_cache"):
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        for candidate in (content, b""):
            cache = config.create_timing_cache(candidate)
            # ignore_mismatch False: times of another GPU are worse than none.
            if cache is not None and config.set_timing_cache(cache, False):
                return cache
            if candidate:
                _log.info("the timing cache is of another TensorRT or GPU and starts anew")
    return None


def _serialised(cache: tensorrt.ITimingCache | None) -> bytes:
    if cache is None:
        return b""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        memory = cache.serialize()
    return b"" if memory is None else bytes(memory)


def _made(thing: Any, what: str, logger: Any) -> Any:
    """The bindings answer None where they could not make a thing."""
    if thing is None:
        raise EngineError(f"TensorRT: {what} failed: {logger.take_problems()}")
    return thing


def _parser_errors(parser: tensorrt.OnnxParser) -> str:
    errors = [parser.get_error(index) for index in range(parser.num_errors)]
    return "; ".join(dict.fromkeys(_described(error) for error in errors)) or "the parser gave no reason"


def _described(error: tensorrt.ParserError) -> str:
    words = str(error.desc()).strip()
    # 8.6 knows no names of nodes and operators.
    name = error.node_name() if hasattr(error, "node_name") else ""
    operator = error.node_operator() if hasattr(error, "node_operator") else ""
    return f"{words} (node {name}, operator {operator})" if name or operator else words


def _why_the_build_failed(words: str, settings: BuildSettings) -> str:
    message = f"TensorRT could not build the engine: {words}"
    if any(clue in words.lower() for clue in OUT_OF_MEMORY_WORDS):
        message += (
            "; this is how running out of memory reads: close other programs, add swap, try a smaller size or one "
            f"head, or change --workspace-mb (now {settings.workspace_mb})"
        )
    return message
