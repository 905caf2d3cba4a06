"""The frozen pictures of version 1 decode for ever; a codec that cannot is another algorithm."""

import hashlib
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from guard.watermark.codec import LatticeWatermarker
from guard.watermark.key_schedule import KeyName, KeySchedule
from guard.watermark.lattice import ChipKey, Lattice

FOLDER = Path(__file__).resolve().parents[2] / "vectors" / "watermark"
LIST = json.loads((FOLDER / "v1.json").read_text())


@pytest.mark.parametrize("name", sorted(LIST["pictures"]))
def test_a_frozen_picture_is_read(name: str) -> None:
    data = (FOLDER / name).read_bytes()
    assert hashlib.sha256(data).hexdigest() == LIST["pictures"][name]["sha256"], "a frozen vector was changed"
    codec = LatticeWatermarker(bytes.fromhex(LIST["master_key"]), tenant=LIST["tenant"], period=LIST["period"])
    reading = codec.detect(np.asarray(Image.open(io.BytesIO(data)).convert("RGB")))
    assert reading.algorithm == LIST["algorithm"]
    assert reading.image_id == LIST["pictures"][name]["image_id"]
    assert reading.log10_p <= -9


def test_all_five_vectors_are_there() -> None:
    assert {f.name for f in FOLDER.glob("v1_*")} == set(LIST["pictures"])
    assert len(LIST["pictures"]) == 5


def test_the_key_schedule_of_version_1_is_frozen() -> None:
    schedule = KeySchedule.from_master(bytes.fromhex(LIST["master_key"]))
    lattice = Lattice.draw(schedule.lattice_stream())
    key = ChipKey.derive(schedule, KeyName(tenant=LIST["tenant"], period=LIST["period"]), lattice)
    digest = hashlib.sha256(
        lattice.lit.astype("<i4").tobytes()
        + lattice.pilots.astype("<i4").tobytes()
        + np.rint(np.angle(key.pilots) * 4 / np.pi).astype("<i4").tobytes()
        + key.coded_bit.astype("<i4").tobytes()
        + key.sign.astype("<i4").tobytes()
        + key.pad.tobytes()
    ).hexdigest()
    assert digest == "b7d1c59170982631faf679bfd697dc6b850eb3236739d35194a361e11dc1f951"
