"""Kill -9 at random moments, and several writers at once: the ledger always verifies and no record lacks its image."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from guard.ledger.image_store import FileImageStore
from guard.ledger.verify import verify_ledger
from tests.guard.ledger.samples import open_ledger

ROOT = Path(__file__).resolve().parents[3]


def start(folder: Path, *, first: int, count: int) -> subprocess.Popen[str]:
    """Start a process that releases ``count`` images; it prints a line when it is about to begin, and one for each."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.guard.ledger.release_loop", str(folder), str(first), str(count)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )


def check_after_crash(folder: Path, acknowledged: list[int]) -> int:
    """Audit, clear orphans, and check that every acknowledged release is there; return the size."""
    images = FileImageStore(folder / "images")
    report = verify_ledger(folder / "ledger.sqlite", images=images, hash_images=True)
    assert report.problems == ()
    ledger = open_ledger(folder / "ledger.sqlite")
    known = ledger.recorded_ids()
    now = datetime.now(UTC) + timedelta(seconds=2)
    orphans = images.remove_orphans(known, now=now, min_age=timedelta(0))
    assert len(orphans) <= 1, "one process has one image under way"
    assert all(orphan not in known for orphan in orphans)
    assert len(list(images.ids())) == ledger.size()
    assert all(f"{number:016x}" in known for number in acknowledged)
    assert not list((folder / "images").rglob(".tmp-*"))
    ledger.close()
    return report.size


def kill_repeatedly(folder: Path, *, times: int, seed: int) -> tuple[int, int]:
    """Kill a releasing process at a random moment, again and again; return (size, entries not acknowledged)."""
    chance, acknowledged, size = random.Random(seed), [], 0
    for turn in range(times):
        child = start(folder, first=turn * 1000, count=1000)
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        time.sleep(chance.uniform(0.0, 0.25))
        os.kill(child.pid, signal.SIGKILL)
        rest = child.stdout.read()
        child.stdout.close()
        assert child.wait() == -signal.SIGKILL
        complete = [line for line in rest.splitlines(keepends=True) if line.endswith("\n")]
        acknowledged += [json.loads(line) for line in complete]
        grown = check_after_crash(folder, acknowledged)
        assert grown >= size
        size = grown
    return size, size - len(acknowledged)


@pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")
def test_a_killed_process_leaves_a_ledger_that_verifies(tmp_path: Path) -> None:
    size, unacknowledged = kill_repeatedly(tmp_path, times=2, seed=1)
    assert size > 0
    assert unacknowledged <= 2


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")
def test_thirty_kills(tmp_path: Path) -> None:
    size, unacknowledged = kill_repeatedly(tmp_path, times=30, seed=2)
    assert size > 10, "the kills came before anything was recorded"
    assert unacknowledged <= 30


def run_together(folder: Path, *, processes: int, each: int) -> None:
    children = [start(folder, first=1000 * number, count=each) for number in range(processes)]
    outputs = [child.communicate(timeout=120)[0] for child in children]
    assert [child.returncode for child in children] == [0] * processes
    assert sum(output.count("\n") for output in outputs) == processes * (each + 1)
    images = FileImageStore(folder / "images")
    report = verify_ledger(folder / "ledger.sqlite", images=images, hash_images=True)
    assert (report.ok, report.size) == (True, processes * each)


def test_two_processes_write_one_ledger(tmp_path: Path) -> None:
    run_together(tmp_path, processes=2, each=8)


@pytest.mark.slow
def test_four_processes_write_two_hundred_entries(tmp_path: Path) -> None:
    run_together(tmp_path, processes=4, each=50)
