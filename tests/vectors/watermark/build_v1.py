"""Made the frozen vectors of ``org.signet-gateway.lattice.1``; kept to show how, not to be run again.

The pictures ``v1_*`` must decode for ever: they stand for every picture that was ever released. A codec that cannot
read them is a new algorithm and gets a new number. Run only to add a case: existing files are never overwritten.

::

    python -m tests.vectors.watermark.build_v1
"""

import hashlib
import json
from pathlib import Path

import numpy as np
from PIL import Image

from guard.records import RGB8, ImageID
from guard.watermark.codec import ALGORITHM, LatticeWatermarker
from tests.guard.watermark import pictures as p

FOLDER = Path(__file__).parent
KEY = bytes(range(32))
CASES = {
    "v1_astronaut_256.png": ("a5a5a5a55a5a5a5a", lambda: p.photo("astronaut", (256, 256)), lambda x: x),
    "v1_drawing_256.png": ("0000000000000001", lambda: p.drawing(2), lambda x: x),
    "v1_coffee_jpeg75.jpg": ("fedcba9876543210", lambda: p.photo("coffee", (640, 420)), lambda x: x),
    "v1_rocket_cropped_half.jpg": (
        "0123456789abcdef",
        lambda: p.photo("rocket", (640, 428)),
        lambda x: p.cropped(x, 0.5),
    ),
    "v1_cat_rotated_5_mirrored.jpg": (
        "ffffffffffffffff",
        lambda: p.photo("chelsea", (451, 300)),
        lambda x: p.rotated(np.ascontiguousarray(x[:, ::-1]), 5),
    ),
}


def save(pixels: RGB8, path: Path) -> None:
    """Write a PNG, or a JPEG of quality 75."""
    if path.suffix == ".png":
        Image.fromarray(pixels).save(path, optimize=True)
    else:
        Image.fromarray(pixels).save(path, quality=75)


def main() -> None:
    """Write the missing files and their list."""
    codec = LatticeWatermarker(KEY, tenant="vectors", period="2026-11")
    listed = FOLDER / "v1.json"
    known = json.loads(listed.read_text())["pictures"] if listed.exists() else {}
    for name, (image_id, original, attack) in CASES.items():
        path = FOLDER / name
        if path.exists():
            continue
        save(attack(codec.embed(original(), ImageID(image_id))), path)
        known[name] = {"image_id": image_id, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    settings = {"algorithm": ALGORITHM, "master_key": KEY.hex(), "tenant": "vectors", "period": "2026-11"}
    listed.write_text(json.dumps({**settings, "pictures": known}, indent=1) + "\n")


if __name__ == "__main__":
    main()
