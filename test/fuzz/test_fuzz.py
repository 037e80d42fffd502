# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""Seconds of fuzzing in every run of the tests; `make fuzz MINUTES=10` goes on for longer."""

from __future__ import annotations

import itertools
import time
import warnings
from pathlib import Path

import pytest

from dfd_perception.errors import DfdPerceptionError
from support.fuzz_targets import TARGETS, Target, inputs

ALWAYS = 25
MOST_S = 4.0


def refusal_of(target: Target, content: bytes, folder: Path) -> Exception | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            target.read(content, folder)
    except Exception as error:  # of any kind: that is what is tested
        return error
    return None


@pytest.mark.parametrize("name", TARGETS)
def test_what_is_spoilt_is_whole_before(name, tmp_path):
    """Else every spoilt input is refused at the same first line, and nothing behind it is ever tried."""
    for number, content in enumerate(TARGETS[name].seeds()):
        folder = tmp_path / str(number)
        folder.mkdir()
        assert refusal_of(TARGETS[name], content, folder) is None


@pytest.mark.parametrize("name", TARGETS)
def test_spoilt_input_is_refused_in_the_packages_own_words(name, tmp_path, request):
    minutes = request.config.getoption("--fuzz-minutes")
    seed = request.config.getoption("--fuzz-seed")
    target = TARGETS[name]
    most_s = MOST_S if minutes is None else minutes * 60 / len(TARGETS)
    contents = inputs(target, seed)
    started = time.monotonic()
    tried = refused = 0
    for number, content in enumerate(contents):
        if time.monotonic() - started > most_s or (minutes is None and number >= ALWAYS):
            break
        folder = tmp_path / str(number)
        folder.mkdir()
        tried += 1
        began = time.monotonic()
        refusal = refusal_of(target, content, folder)
        if isinstance(refusal, DfdPerceptionError):
            refused += 1
        elif refusal is not None:
            kept = tmp_path / "failing_input"
            kept.write_bytes(content)
            raise AssertionError(f"input {number} of seed {seed}, kept in {kept}: {refusal!r}") from refusal
        said = str(refusal)
        assert len(said) < 2000, f"input {number} of seed {seed}: a refusal of {len(said)} characters"
        assert "\n" not in said, f"input {number} of seed {seed}: a refusal of several lines: {said}"
        assert time.monotonic() - began < 60, f"input {number} of seed {seed} took a minute"
    if not tried:
        pytest.skip("nothing to spoil here (see DFD_SHARED_DATA)")
    print(f"{name}: {tried} spoilt inputs, {refused} refused in words, the others read")


def test_the_same_seed_spoils_alike():
    target = TARGETS["lens.yaml"]
    first, again, other = (list(itertools.islice(inputs(target, seed), 20)) for seed in (1, 1, 2))
    assert first == again
    assert first != other
