"""The embedded watermark against ``invisible-watermark`` (dwtDct, dwtDctSvd) on the same pictures and attacks.

::

    pip install --no-deps invisible-watermark PyWavelets
    python -m benchmarks.watermark_comparison --count 8 --out comparison.json PHOTOS GENERATED

64 random bits each. The peer's marks are read with our reader of the same method (equal answers, faster), from the
attacked picture as it is and resized back to its old size, whichever is better; ours gets the attacked picture only.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import cv2
import numpy as np

from guard.records import RGB8
from guard.robustness.catalogue import choose
from guard.robustness.measure import image_id_for
from guard.robustness.quality import psnr_db, ssim
from guard.robustness.samples import folder_samples
from guard.watermark.codec import LatticeWatermarker
from guard.watermark.invisible_watermark import block_votes, voted_bits

NAMES = (
    *("none", "JPEG 90", "JPEG 75", "JPEG 50", "resize 0.75", "resize 0.5", "crop 0.8", "crop 0.5"),
    *("brightness 1.3", "noise 10", "blur 1.5", "WebP 80", "rotate 5", "mirror", "screenshot"),
)
METHODS = ("dwtDct", "dwtDctSvd")


def peer_embed(pixels: RGB8, bits: list[int], method: str) -> RGB8:
    """Mark with the package itself."""
    from imwatermark import WatermarkEncoder

    encoder = WatermarkEncoder()
    encoder.set_watermark("bits", bits)
    return np.ascontiguousarray(encoder.encode(np.ascontiguousarray(pixels[:, :, ::-1]), method)[:, :, ::-1])


def peer_reads(attacked: RGB8, shape: tuple[int, ...], bits: list[int], method: str) -> bool:
    """Whether all bits are right, as is or resized back."""
    back = cv2.resize(attacked, (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC)
    for view in (attacked, back):
        chroma = cv2.cvtColor(np.ascontiguousarray(view), cv2.COLOR_RGB2YUV)[..., 1].astype(np.float32)
        if voted_bits(block_votes(chroma, svd=method == "dwtDctSvd"), 64).tolist() == bits:
            return True
    return False


def main() -> None:
    """Run the comparison from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--count", type=int, default=8, help="pictures of each folder")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    codec, attacks = LatticeWatermarker(bytes(range(32))), choose(only=NAMES)
    rows: dict[str, dict[str, list[float]]] = {name: {} for name in ("ours", *METHODS)}
    for sample in folder_samples(arguments.folders, count=arguments.count):
        image_id = image_id_for(sample.index)
        bits = [int(b) for b in f"{int(image_id, 16):064b}"]
        for name, row in rows.items():
            start = time.process_time()
            ours = name == "ours"
            marked = codec.embed(sample.pixels, image_id) if ours else peer_embed(sample.pixels, bits, name)
            row.setdefault("embed_s", []).append(time.process_time() - start)
            row.setdefault("psnr_db", []).append(psnr_db(sample.pixels, marked))
            row.setdefault("ssim", []).append(ssim(sample.pixels, marked))
            for attack in attacks:
                copy = attack(marked, seed=sample.index)
                hit = codec.detect(copy).image_id == image_id if ours else peer_reads(copy, marked.shape, bits, name)
                row.setdefault(attack.id, []).append(float(hit))
        summary = {
            name: {key: round(float(np.mean(values)), 4) for key, values in row.items()} for name, row in rows.items()
        }
        done = {"pictures": len(rows["ours"]["ssim"]), "mean": summary}
        arguments.out.write_text(json.dumps(done, indent=1) + "\n")
    print(arguments.out.read_text())


if __name__ == "__main__":
    main()
