# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Scores what a running node answered, frame by frame like an offline evaluation."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from dfd_perception.evaluation.plan import EvaluationPlan
from dfd_perception.evaluation.run import evaluate
from dfd_perception.evaluation.worker import Progress


class Played(Protocol):
    """What is known about the playing."""

    sent: int
    answered: int
    messages: dict[str, int]


def evaluate_answers(
    plan: EvaluationPlan, answers: Path, played: Played, progress: Progress | None = None
) -> dict[str, Any]:
    """The report of a bag of answers; images without one lower `answered`, and count as dropped.

    Args:
        plan: as for an offline evaluation of the bag that was played.
        answers: bag of results.
        played: from playing.
        progress: told of the frames.
    """
    live = {
        "sent": played.sent,
        "answered": played.answered,
        "dropped": max(0, played.sent - played.answered),
        "coverage": played.answered / played.sent if played.sent else 0.0,
        "messages": played.messages,
    }
    return evaluate(replace(plan, predictions=answers), progress=progress, live=live)
