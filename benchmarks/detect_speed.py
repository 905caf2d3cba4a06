"""How long a verdict takes: whole, pixel detectors alone, bare models, and files a second in bulk.

``python -m benchmarks.detect_speed --home HOME [--bulk 200]`` prints one JSON document. Processor time is given beside
wall time; the process keeps to one core, so that its threads do not slow one another. Programs on the other core still
take from the shared caches: the load before and after is printed, and a quiet machine is what to measure on.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage import data

from detectors.evidence import Family
from detectors.learned.artefact_network import ArtefactNetworkDetector
from detectors.pixel_models import MODELS, pixel_detectors
from detectors.scoring import ScoringModel
from detectors.upload import Upload, load_upload
from gateway.cli.detect_bulk import BulkJob, judge_files
from gateway.cli.options import runtime
from guard.inference import open_onnx
from guard.media import encode
from guard.records import ImageFormat

ROUNDS = 7
PIXELS = frozenset({Family.STATISTICAL, Family.LEARNED})


def timed(work: Callable[[], object]) -> dict[str, float]:
    """Return the median wall and processor seconds of ROUNDS calls after one that warms up."""
    work()
    walls, processor = [], []
    for _ in range(ROUNDS):
        wall, cpu = time.perf_counter(), time.process_time()
        work()
        walls.append(time.perf_counter() - wall)
        processor.append(time.process_time() - cpu)
    return {"wall_s": round(float(np.median(walls)), 4), "cpu_s": round(float(np.median(processor)), 4)}


def picture(side: int = 1024, *, seed: int = 0) -> bytes:
    """Return a JPEG of a photograph, enlarged, with grain of its own."""
    enlarged = cv2.resize(data.astronaut(), (side, side), interpolation=cv2.INTER_CUBIC)
    grain = np.random.default_rng(seed).normal(0, 3, enlarged.shape)
    return encode(np.clip(enlarged + grain, 0, 255).astype(np.uint8), ImageFormat.JPEG, quality=90)


def single(home: Path) -> dict[str, Any]:
    """Measure one 1024x1024 JPEG in an installation; one with keys also looks for our mark."""
    coded = picture()
    upload = load_upload(coded)
    figures: dict[str, Any] = {}
    with runtime(home) as opened:
        figures["whole verdict"] = timed(lambda: opened.examine(coded, name="x.jpg"))
        figures["pixel families"] = timed(lambda: opened.engine.judge(upload, families=PIXELS))
    for detector in pixel_detectors():
        figures[detector.id] = timed(lambda d=detector: d.examine(upload))  # type: ignore[misc]
    inputs = network_inputs(upload)
    session = open_onnx(MODELS / "learned.onnx", name="The network")
    bare = timed(lambda: [session.run(None, batch) for batch in inputs])
    figures["bare network, the same crops"] = {**bare, "looks": len(inputs)}
    figures["ratio to the bare network"] = round(figures["learned.artefacts"]["cpu_s"] / bare["cpu_s"], 2)
    return figures


def network_inputs(upload: Upload) -> list[dict[str, NDArray[np.float32]]]:
    """Return what the detector in the box gives to its network for an upload: one batch, or two when it looks again."""
    batches: list[dict[str, NDArray[np.float32]]] = []

    class Recording(ScoringModel):
        def run(self, inputs: Mapping[str, NDArray[np.float32]]) -> list[NDArray[np.float32]]:
            batches.append(dict(inputs))
            return super().run(inputs)

    ArtefactNetworkDetector(Recording(MODELS, "learned")).examine(upload)
    return batches


def bulk(home: Path, count: int, processes: int) -> dict[str, float]:
    """Measure a folder of ``count`` different 1024x1024 JPEG files."""
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / f"{number:05d}.jpg" for number in range(count)]
        for number, path in enumerate(files):
            path.write_bytes(picture(seed=number))
        with runtime(home) as opened:
            start = time.perf_counter()
            job = BulkJob(home=home, policy=None, families=None)
            rows = list(judge_files(files, job, opened, processes=processes, done={}))
            seconds = time.perf_counter() - start
    assert all("error" not in row for row in rows)
    return {"files": count, "processes": processes, "files_per_s": round(count / seconds, 2)}


def main() -> None:
    """Print all figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, required=True, help="an installation; signet keys init makes keys")
    parser.add_argument("--bulk", type=int, default=0, help="files of the bulk measurement; 0 leaves it out")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    given = parser.parse_args()
    cv2.setNumThreads(1)
    figures: dict[str, Any] = {"load_before": os.getloadavg()}
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    figures["single"] = single(given.home)
    os.sched_setaffinity(0, cores)
    if given.bulk:
        figures["bulk"] = bulk(given.home, given.bulk, given.processes)
    print(json.dumps({**figures, "load_after": os.getloadavg()}, indent=1))


if __name__ == "__main__":
    main()
