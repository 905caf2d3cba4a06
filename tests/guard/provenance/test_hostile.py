"""Hostile files read as uploads are: no crash, no other error than a report, every answer in time, nothing trusted."""

import time
from collections.abc import Iterator

import pytest

from guard.credentials import CredentialReport, CredentialState
from guard.isolation import WorkerPool
from guard.provenance.read import DEADLINE_S, C2PACredentialReader
from tests.guard.provenance.hostile import bombs, mutated_files, signed_files
from tests.guard.provenance.support import Identity, essentials

LIMIT_S = 3.0
"""What issue and documentation promise, on a quiet machine."""
SLACK = 4
"""How much slower a shared test machine may be; a hang or quadratic cost still shows."""


@pytest.fixture(scope="module")
def strict(ours: Identity) -> Iterator[C2PACredentialReader]:
    """The reader as the service makes it, with its own deadline."""
    with WorkerPool(size=1, preload=("c2pa", "guard.provenance.read")) as pool:
        pool.warm()
        yield C2PACredentialReader(ours.keys.anchors, pool=pool)


def answered(reader: C2PACredentialReader, name: str, data: bytes) -> CredentialReport:
    began = time.monotonic()
    report = reader.read(data)
    assert time.monotonic() - began < LIMIT_S * SLACK, name
    assert "signet.unreadable.parser_failed" not in report.codes, f"{name}: the worker died"
    assert report.explanation, name
    return report


def fuzz(ours: Identity, reader: C2PACredentialReader, *, seed: int, count: int) -> dict[CredentialState, int]:
    files = signed_files(ours)
    said = {essentials(reader.read(data)) for data in files.values()}
    states: dict[CredentialState, int] = {}
    for name, data in mutated_files(files, seed=seed, count=count):
        report = answered(reader, name, data)
        states[report.state] = states.get(report.state, 0) + 1
        if report.state is CredentialState.TRUSTED:  # padding, box lengths and labels are not signed
            assert essentials(report) in said, f"{name}: trusted, but says something that was never signed"
    return states


def test_some_hundred_mutated_files(ours: Identity, strict: C2PACredentialReader) -> None:
    states = fuzz(ours, strict, seed=7, count=300)
    assert set(states) >= {CredentialState.INVALID, CredentialState.UNREADABLE, CredentialState.NONE}


@pytest.mark.slow
def test_thousands_of_mutated_files(ours: Identity, strict: C2PACredentialReader) -> None:
    states = fuzz(ours, strict, seed=8, count=2_500)
    assert sum(states.values()) == 2_500


def test_expensive_structures(strict: C2PACredentialReader) -> None:
    overruns = []
    for name, data in bombs().items():
        report = answered(strict, name, data)
        assert report.state in (CredentialState.NONE, CredentialState.UNREADABLE), name
        if report.codes == ("signet.limit.time",):
            overruns.append(name)
            assert f"longer than {DEADLINE_S:g} s" in report.explanation
    assert not overruns, "these cost a worker its whole deadline; count them in bounds.py"


def test_a_signed_file_is_read_after_all_of_that(ours: Identity, strict: C2PACredentialReader) -> None:
    assert strict.read(ours.signed()).state is CredentialState.TRUSTED
