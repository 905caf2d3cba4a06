"""Kill -9 at any moment: the ledger verifies, no released image lacks a record, no record lacks its image."""

import os
import random
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from guard.assembly import build_core
from guard.ledger.verify import verify_ledger
from guard.provenance.dev_ca import init_development_keys
from guard.records import ImageID
from guard.settings import load_settings

ROOT = Path(__file__).resolve().parents[2]
KILLS = 30


def seconds_of_work(home: Path) -> float:
    """Return how long a child takes from "ready" into its second request; the first one loads what it needs."""
    command = [sys.executable, "-m", "tests.guard.crash_child", str(home)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, start_new_session=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        started = time.monotonic()
        for _ in range(3):  # the two images of the first request, and one more
            child.stdout.readline()
        os.killpg(child.pid, signal.SIGKILL)
    return time.monotonic() - started


def run_and_kill(home: Path, *, images: int, after_s: float) -> list[str]:
    """Start the child, kill it some time after so many images, return the ids it said it released."""
    command = [sys.executable, "-m", "tests.guard.crash_child", str(home)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, start_new_session=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        first = b"".join(child.stdout.readline() for _ in range(images))
        time.sleep(after_s)
        os.killpg(child.pid, signal.SIGKILL)
        said = (first + child.stdout.read()).decode().split("\n")[:-1]  # the last line may be cut short
    return said


@pytest.mark.slow
def test_thirty_kills(tmp_path: Path) -> None:
    init_development_keys(tmp_path / "keys", now=datetime.now(UTC))
    moments = random.Random(20261122)
    span_s = 1.2 * seconds_of_work(tmp_path)
    released: set[str] = set()
    for _ in range(KILLS):
        images = moments.choice((0, 0, 1, 2))  # not by the clock alone: the machine may be slower by now
        released |= set(run_and_kill(tmp_path, images=images, after_s=moments.uniform(0.0, span_s / (1 + images))))
        core = build_core(load_settings(home=tmp_path))
        try:
            removed = core.images.remove_orphans(
                core.ledger.recorded_ids(), now=datetime.now(UTC), min_age=timedelta(0)
            )
            assert not released & set(removed), "an orphan was released"
            report = verify_ledger(
                tmp_path / "ledger.sqlite3",
                public_key=core.keys.ledger_public_key,
                images=core.images,
                hash_images=True,
            )
            assert report.ok, report.problems
            for image_id in released:
                assert core.ledger.proof(ImageID(image_id)) is not None
        finally:
            core.close()
    assert released, "no child got as far as a release before it was killed"
