# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Services of a node that answer whatever is asked, rclpy's own included.

rclpy lets what a callback raises out of spin(), and its own callbacks raise for requests that anybody may send: a
transition that the state does not have, a parameter of a type that does not exist. The client would wait for ever and
the node would end.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from lifecycle_msgs.srv import ChangeState, GetAvailableTransitions
from rcl_interfaces.msg import SetParametersResult
from rcl_interfaces.srv import SetParameters, SetParametersAtomically
from rclpy.node import Node

from dfd_perception.ros.shared.node_log import Log


def guard_services(node: Node, log: Log) -> None:
    """Let every service that the node has by now answer; a request that fails is refused and logged."""
    services = list(node.services)
    transitions = next((s.callback for s in services if s.srv_name.endswith("/get_available_transitions")), None)
    for service in services:
        callback = service.callback
        if service.srv_type is ChangeState and transitions is not None:
            callback = _only_possible(callback, transitions, log)
        service.callback = _answering(callback, service.srv_type, service.srv_name, log)


def _only_possible(change: Callable[..., Any], transitions: Callable[..., Any], log: Log) -> Callable[..., Any]:
    """Refuse transitions that the present state does not have, before rclpy raises for them."""

    def answer(request: ChangeState.Request, response: ChangeState.Response) -> ChangeState.Response:
        requested = request.transition
        known = transitions(GetAvailableTransitions.Request(), GetAvailableTransitions.Response())
        possible = {choice.transition.id: choice.transition.label for choice in known.available_transitions}
        # rclpy goes by the label where one is given.
        if requested.label in possible.values() or (not requested.label and requested.id in possible):
            return change(request, response)
        named = repr(requested.label) if requested.label else str(requested.id)
        names = ", ".join(f"{label} ({number})" for number, label in sorted(possible.items()))
        log("warning", f"transition {named} refused: the present state has {names or 'none'}")
        response.success = False
        return response

    return answer


def _answering(callback: Callable[..., Any], kind: Any, name: str, log: Log) -> Callable[..., Any]:
    def refused(request: Any, error: Exception) -> Any:
        reason = f"{type(error).__name__}: {error}"
        log("error", f"{name} refuses a request: {reason}")
        return _refusal(kind, request, reason)

    if inspect.iscoroutinefunction(callback):

        async def wait(request: Any, response: Any) -> Any:
            try:
                return await callback(request, response)
            except Exception as error:  # whatever it was, the client must not wait for ever
                return refused(request, error)

        return wait

    def answer(request: Any, response: Any) -> Any:
        try:
            return callback(request, response)
        except Exception as error:  # as above
            return refused(request, error)

    return answer


def _refusal(kind: Any, request: Any, reason: str) -> Any:
    """An answer that says no, as far as the type of the service can."""
    response = kind.Response()
    no = SetParametersResult(successful=False, reason=reason)
    if kind is SetParameters:
        response.results = [no] * len(request.parameters)
    elif kind is SetParametersAtomically:
        response.result = no
    elif hasattr(response, "message"):
        response.message = reason
    return response
