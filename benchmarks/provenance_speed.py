"""Sign and verify, ours against bare c2pa-python, side by side in one run; writes JSON to standard output.

Run: ``python benchmarks/provenance_speed.py [--rounds 40] [--side 1024]``. Calls alternate, so that a busy machine
slows both alike. Wall times on a shared machine are noise: look at ``cpu_ms`` (worker included), and at the ratio of
the CPU times. Bare means: the same manifest and trust settings, thumbnail off, Builder.sign / Reader + json() in this
process, no bounds, no worker, no report.
"""

from __future__ import annotations

import argparse
import io
import json
import platform
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from skimage import data as pictures

from guard.credentials import CredentialState
from guard.isolation import WorkerPool
from guard.media import encode
from guard.provenance.dev_ca import init_development_keys
from guard.provenance.key_source import CallbackKeySource
from guard.provenance.keys_folder import KeyFolder
from guard.provenance.manifest import CREATED_LABELS, ManifestFacts, ManifestKind, manifest_definition
from guard.provenance.native import reading_context, reading_settings, signing_context
from guard.provenance.read import C2PACredentialReader
from guard.provenance.sign import C2PACredentialSigner, ClaimGenerator
from guard.records import ImageFormat


def picture(side: int) -> np.ndarray:
    """A photograph of the given side, by repetition of the astronaut."""
    whole = np.tile(pictures.astronaut(), (side // 512 + 1, side // 512 + 1, 1))
    return np.ascontiguousarray(whole[:side, :side])


def compare(named: dict[str, Callable[[], object]], rounds: int, pool: WorkerPool) -> dict[str, dict[str, float]]:
    """Run each callable ``rounds`` times, in turn; milliseconds of wall clock, and of CPU, worker included."""
    wall: dict[str, list[float]] = {name: [] for name in named}
    cpu = dict.fromkeys(named, 0.0)
    for call in named.values():
        call()
    for _ in range(rounds):
        for name, call in named.items():
            worker, here = pool.run(time.process_time, deadline_s=20), time.process_time()
            began = time.perf_counter()
            call()
            wall[name].append((time.perf_counter() - began) * 1000)
            cpu[name] += time.process_time() - here - worker + pool.run(time.process_time, deadline_s=20)
    return {
        name: {
            "wall_min_ms": round(min(values), 2),
            "wall_median_ms": round(statistics.median(values), 2),
            "cpu_ms": round(cpu[name] / rounds * 1000, 2),
        }
        for name, values in wall.items()
    }


def measure(keys: KeyFolder, pool: WorkerPool, image_format: ImageFormat, side: int, rounds: int) -> dict[str, object]:
    """Measure one container."""
    from c2pa import Builder, C2paSignerInfo, Reader, Signer

    encoded, media_type = encode(picture(side), image_format), image_format.media_type
    facts = ManifestFacts(
        kind=ManifestKind.GENERATED,
        image_id="0123456789abcdef",
        provider="Benchmark",
        system_name="Signet",
        system_version="0",
        created_at=datetime.now(UTC),
        model_name="none",
        watermark_algorithm="org.example.mark.1",
    )
    info = C2paSignerInfo(b"es256", keys.signer.certificate_chain_pem.encode(), keys.signer.private_key_pem(), None)
    native, context = Signer.from_info(info), signing_context(CREATED_LABELS)
    generator = ClaimGenerator(provider="Benchmark")
    ours = C2PACredentialSigner(keys.signer, claim_generator=generator)
    remote = CallbackKeySource(
        certificate_chain_pem=keys.signer.certificate_chain_pem, sign=keys.signer.sign, now=datetime.now(UTC)
    )
    by_callback = C2PACredentialSigner(remote, claim_generator=generator)

    def bare_sign() -> bytes:
        out = io.BytesIO()
        definition = manifest_definition(facts, label=f"urn:c2pa:{uuid.uuid4()}")
        Builder(definition, context=context).sign(native, media_type, io.BytesIO(encoded), out)
        return out.getvalue()

    signed = bare_sign()
    reading = reading_context(reading_settings(keys.anchors))

    def bare_verify() -> object:
        with Reader(media_type, io.BytesIO(signed), context=reading) as reader:
            return json.loads(reader.json())["validation_state"]

    in_worker = C2PACredentialReader(keys.anchors, pool=pool)
    in_process = C2PACredentialReader(keys.anchors, pool=None)
    assert in_worker.read(signed).state is CredentialState.TRUSTED
    sign = compare(
        {
            "bare": bare_sign,
            "ours": lambda: ours.sign_bytes(facts, encoded, media_type),
            "ours, callback key": lambda: by_callback.sign_bytes(facts, encoded, media_type),
        },
        rounds,
        pool,
    )
    verify = compare(
        {
            "bare": bare_verify,
            "ours, worker": lambda: in_worker.read(signed),
            "ours, this process": lambda: in_process.read(signed),
        },
        rounds,
        pool,
    )
    return {
        "bytes": len(encoded),
        "bytes_added": len(signed) - len(encoded),
        "bytes_added_callback": len(by_callback.sign_bytes(facts, encoded, media_type).data) - len(encoded),
        "sign": sign,
        "sign_cpu_ratio": round(sign["ours"]["cpu_ms"] / sign["bare"]["cpu_ms"], 2),
        "verify": verify,
        "verify_cpu_ratio": round(verify["ours, worker"]["cpu_ms"] / verify["bare"]["cpu_ms"], 2),
    }


def main() -> None:
    """Measure all containers and print one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--side", type=int, default=1024)
    options = parser.parse_args()
    now = datetime.now(UTC)
    with (
        tempfile.TemporaryDirectory() as folder,
        WorkerPool(size=1, preload=("c2pa", "guard.provenance.read")) as pool,
    ):
        init_development_keys(Path(folder) / "keys", now=now)
        keys = KeyFolder.load(Path(folder) / "keys", now=now)
        pool.warm()
        results = {
            image_format.value: measure(keys, pool, image_format, options.side, options.rounds)
            for image_format in ImageFormat
        }
    machine = {"python": platform.python_version(), "machine": platform.machine()}
    json.dump({"side_px": options.side, "rounds": options.rounds, **machine, "results": results}, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
