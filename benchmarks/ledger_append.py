"""Measure the ledger: append, look-up, proof and audit at a given size, and the search by look over many hashes.

    python -m benchmarks.ledger_append --entries 100000 --hashes 2000000 [--folder DIR] [--json FILE]

The starting ledger is written in bulk (the same rows that ``append`` writes, without its read-back); it is then
measured through the public interface. One thread. Prints one JSON object.
"""

import argparse
import hashlib
import json
import resource
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from guard.ledger.canonical_json import canonical_bytes
from guard.ledger.checkpoint import HeadSigner
from guard.ledger.export import export_ledger, verify_export
from guard.ledger.hash_tree import Frontier, leaf_hash
from guard.ledger.proofs import verify_entry_proof
from guard.ledger.registry import registration_row
from guard.ledger.similar_index import SimilarIndex
from guard.ledger.sqlite_store import SQLiteLedger
from guard.ledger.verify import verify_ledger
from tests.guard.ledger.samples import ORIGIN, SEED, image_id, open_ledger, registration, release

SAMPLES = 200


def fill_in_bulk(path: Path, count: int) -> None:
    """Write ``count`` release entries in one transaction."""
    open_ledger(path).close()
    signer, frontier = HeadSigner(SEED, origin=ORIGIN), Frontier()
    key_id = signer.verifier.key_id.hex()
    raw = sqlite3.connect(path)
    for number in range(count):
        row = registration(number)
        body = canonical_bytes(release(number, row))
        raw.execute("INSERT INTO entries VALUES (?,?,?,?)", (number, "release", row.image_id, body))
        columns = {**registration_row(row), "idx": number, "created_at": "2026-11-22T12:00:00.000Z"}
        names, places = ",".join(columns), ",".join("?" * len(columns))
        raw.execute(f"INSERT INTO registrations ({names}) VALUES ({places})", tuple(columns.values()))  # noqa: S608
        for node in frontier.add(leaf_hash(body)):
            raw.execute("INSERT INTO nodes VALUES (?,?,?)", node)
        root = frontier.root()
        head = (frontier.size, root, key_id, signer.sign(frontier.size, root))
        raw.execute("INSERT INTO heads VALUES (?,?,?,?)", head)
    raw.commit()
    raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    raw.close()


def milliseconds(action: Callable[[int], object], *, first: int = 0) -> dict[str, float]:
    """Run an action SAMPLES times; return wall times, and the median processor time (without waiting for the disk)."""
    wall, processor = [], []
    for number in range(first, first + SAMPLES):
        began, began_processor = time.perf_counter(), time.process_time()
        action(number)
        wall.append((time.perf_counter() - began) * 1000)
        processor.append((time.process_time() - began_processor) * 1000)
    return {
        "median_ms": round(statistics.median(wall), 3),
        "p95_ms": round(sorted(wall)[int(0.95 * SAMPLES)], 3),
        "median_cpu_ms": round(statistics.median(processor), 3),
    }


def append_timed(ledger: SQLiteLedger, *, first: int) -> dict[str, float]:
    """Append SAMPLES releases; building them is not timed."""
    rows = {number: registration(number) for number in range(first, first + SAMPLES)}
    bodies = {number: release(number, row) for number, row in rows.items()}
    return milliseconds(lambda n: ledger.append(bodies[n], registration=rows[n]), first=first)


def measure_ledger(path: Path, count: int) -> dict[str, object]:
    """Measure everything that reads or writes a ledger file."""
    fill_in_bulk(path, count)
    figures: dict[str, object] = {"entries": count, "file_bytes_per_entry": round(path.stat().st_size / count)}
    ledger = open_ledger(path)
    step = max(1, count // SAMPLES)
    figures["append"] = append_timed(ledger, first=count)
    figures["proof"] = milliseconds(lambda n: ledger.proof(image_id(n * step % count)))
    proof = ledger.proof(image_id(count // 2))
    assert proof is not None
    figures["proof_check"] = milliseconds(lambda _: verify_entry_proof(proof, ledger.verifier))
    figures["consistency"] = milliseconds(lambda n: ledger.consistency(n * step))
    figures["find_sha256"] = milliseconds(lambda n: ledger.find_sha256(registration(n * step % count).sha256))
    started = time.perf_counter()
    ledger.find_similar("0" * 64, max_distance=31)
    figures["first_search_s"] = round(time.perf_counter() - started, 2)
    figures["find_similar"] = milliseconds(lambda n: ledger.find_similar(f"{n:064x}", max_distance=31))
    ledger.close()
    started = time.perf_counter()
    report = verify_ledger(path)
    assert report.ok, report.problems
    figures["audit_s"] = round(time.perf_counter() - started, 1)
    started = time.perf_counter()
    export_ledger(path, path.with_suffix(".jsonl"))
    figures["export_s"] = round(time.perf_counter() - started, 1)
    started = time.perf_counter()
    assert verify_export(path.with_suffix(".jsonl")).ok
    figures["export_audit_s"] = round(time.perf_counter() - started, 1)
    return figures


def measure_search(count: int) -> dict[str, object]:
    """Measure the brute-force search alone."""
    hashes = np.random.default_rng(1).integers(0, 256, (count, 32), np.uint8)
    index = SimilarIndex()
    started = time.perf_counter()
    index.extend((number, hashes[number].tobytes()) for number in range(count))
    build_s = time.perf_counter() - started
    query = hashlib.sha256(b"query").digest()
    return {
        "hashes": count,
        "build_s": round(build_s, 1),
        "search": milliseconds(lambda _: index.search(query, max_distance=31)),
    }


def main() -> None:
    """Parse the options, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entries", type=int, default=100_000)
    parser.add_argument("--hashes", type=int, default=2_000_000)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        figures: dict[str, object] = {"ledger": measure_ledger(Path(folder) / "ledger.sqlite", options.entries)}
    if options.hashes:
        figures["search"] = measure_search(options.hashes)
    figures["peak_rss_mib"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    text = json.dumps(figures, indent=2)
    print(text)
    if options.json:
        options.json.write_text(text + "\n")


if __name__ == "__main__":
    main()
