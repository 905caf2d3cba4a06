"""Hostile files against the reader of content credentials; writes JSON to standard output.

Run: ``python -m benchmarks.credential_fuzz [--count 2000] [--seed 1] [--out result.json]``. Every file is read as the
service reads an upload: bounds first, then c2pa-rs in a worker under a deadline. Reported are states, crashes (a worker
died), overruns (the deadline ended it), errors of any other kind, and the time of each answer. Exit status 1 unless
there was no crash, no error, and no answer took ``LIMIT_S``.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from guard.isolation import WorkerPool
from guard.provenance.read import DEADLINE_S, C2PACredentialReader
from tests.guard.provenance.hostile import bombs, mutated_files, signed_files
from tests.guard.provenance.support import Identity

_SPECIAL = {("signet.unreadable.parser_failed",): "crash", ("signet.limit.time",): "overrun"}
LIMIT_S = 3.0
"""Longest answer that is allowed."""


def examine(reader: C2PACredentialReader, files: Iterable[tuple[str, bytes]]) -> dict[str, Any]:
    """Read every file and return what happened."""
    states: Counter[str] = Counter()
    times: list[float] = []
    slow: list[dict[str, Any]] = []
    errors: list[str] = []
    for name, data in files:
        began = time.monotonic()
        try:
            report = reader.read(data)
            state = _SPECIAL.get(report.codes, report.state.value)
        except Exception as error:  # the finding of a fuzz run: anything else than a report
            state = "error"
            errors.append(f"{name}: {type(error).__name__}: {error}"[:300])
        took = time.monotonic() - began
        times.append(took)
        states[state] += 1
        if took > 1 or state in ("crash", "overrun"):
            slow.append({"file": name, "bytes": len(data), "state": state, "seconds": round(took, 2)})
    times.sort()
    return {
        "files": len(times),
        "states": dict(sorted(states.items())),
        "errors": errors,
        "seconds_median": round(statistics.median(times), 4),
        "seconds_p99": round(times[int(0.99 * (len(times) - 1))], 4),
        "seconds_max": round(times[-1], 3),
        "slow_or_stopped": slow,
    }


def main() -> int:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, WorkerPool(size=1, preload=("c2pa", "guard.provenance.read")) as pool:
        pool.warm()
        identity = Identity.make(Path(folder) / "keys")
        reader = C2PACredentialReader(identity.keys.anchors, pool=pool)
        mutated = examine(reader, mutated_files(signed_files(identity), seed=arguments.seed, count=arguments.count))
        expensive = examine(reader, bombs().items())
    result = {"deadline_s": DEADLINE_S, "seed": arguments.seed, "mutated": mutated, "bombs": expensive}
    text = json.dumps(result, indent=2)
    print(text)
    if arguments.out is not None:
        arguments.out.write_text(text + "\n", encoding="utf-8")
    bad = any(
        part["states"].get("crash", 0) or part["errors"] or part["seconds_max"] >= LIMIT_S
        for part in (mutated, expensive)
    )
    return int(bad)


if __name__ == "__main__":
    sys.exit(main())
