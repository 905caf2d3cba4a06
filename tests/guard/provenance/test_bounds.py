"""Limits that are checked before the native parser, and files that still cost too much."""

import io
import struct
import time
from collections.abc import Callable
from typing import Any

import pytest

from guard.credentials import CredentialState
from guard.errors import BusyError, WorkerError
from guard.isolation import WorkerPool
from guard.media import MAX_BYTES
from guard.provenance import bounds
from guard.provenance.read import C2PACredentialReader
from guard.records import ImageFormat
from tests.guard.provenance.media_files import FILES, box
from tests.guard.provenance.support import (
    BrokenPool,
    Identity,
    encoded,
    facts,
    png_chunks,
    png_from,
)

# --- bounds ----------------------------------------------------------------------------------------------------------


def png_with_chunks(count: int) -> bytes:
    """A PNG of exactly ``count`` chunks."""
    chunks = png_chunks(encoded(ImageFormat.PNG))
    return png_from([*chunks[:-1], *[(b"tEXt", b"k\x00v")] * (count - len(chunks)), chunks[-1]])


def webp_with_chunks(count: int) -> bytes:
    body = encoded(ImageFormat.WEBP)[12:]
    filler = b"JUNK" + struct.pack("<I", 2) + b"xx"
    whole = b"WEBP" + body + filler * (count - 1)
    return b"RIFF" + struct.pack("<I", len(whole)) + whole


def jpeg_with_segments(count: int) -> bytes:
    jpeg = encoded(ImageFormat.JPEG)
    return jpeg[:2] + (b"\xff\xfe" + struct.pack(">H", 3) + b"c") * count + jpeg[2:]


MANY_BOXES = b"jumb" * (bounds.MAX_JUMBF_BOXES + 1)


def with_store(image_format: ImageFormat) -> bytes:
    """A file whose manifest chunk holds one box too many."""
    plain = encoded(image_format)
    if image_format is ImageFormat.PNG:
        chunks = png_chunks(plain)
        return png_from([chunks[0], (b"caBX", MANY_BOXES), *chunks[1:]])
    if image_format is ImageFormat.WEBP:
        return plain + b"C2PA" + struct.pack("<I", len(MANY_BOXES)) + MANY_BOXES
    return plain[:2] + b"\xff\xeb" + struct.pack(">H", len(MANY_BOXES) + 2) + MANY_BOXES + plain[2:]


@pytest.mark.parametrize("image_format", ImageFormat)
def test_boxes_are_counted_where_the_manifest_is(ours: Identity, image_format: ImageFormat) -> None:
    signed = ours.signer.sign_bytes(facts(), encoded(image_format), image_format.media_type)
    _, boxes = bounds.count_structure(signed.data)
    assert boxes == signed.manifest.count(b"jumb") == bounds.count_structure(signed.manifest)[1]
    assert boxes > 8


def mp4_with_boxes(count: int) -> bytes:
    whole = FILES["video/mp4"]
    inner = box(b"moov", box(b"trak", box(b"free", b"") * (count // 2)))
    extra = count - 6 - count // 2  # the file's own four boxes, moov and trak
    return whole + inner + box(b"free", b"") * extra


def gif_with_blocks(count: int) -> bytes:
    return FILES["image/gif"][:-1] + b"\x21\xfe\x01c\0" * (count - 1) + b"\x3b"


def wave_with_chunks(count: int) -> bytes:
    body = b"WAVE" + FILES["audio/wav"][12:36] + (b"JUNK" + struct.pack("<I", 2) + b"xx") * (count - 1)
    return b"RIFF" + struct.pack("<I", len(body)) + body


@pytest.mark.parametrize("make", [png_with_chunks, webp_with_chunks, mp4_with_boxes, gif_with_blocks, wave_with_chunks])
def test_chunks_are_counted_exactly(make: Callable[[int], bytes]) -> None:
    assert bounds.count_structure(make(777)) == (777, 0)
    assert bounds.find_excess(make(bounds.MAX_CHUNKS)) is None
    excess = bounds.find_excess(make(bounds.MAX_CHUNKS + 1))
    assert excess is not None
    assert excess.code == "signet.limit.chunks"


def test_jpeg_segments_are_counted_up_to_the_scan() -> None:
    plain = bounds.count_structure(encoded(ImageFormat.JPEG))[0]
    assert 3 <= plain <= 12
    assert bounds.count_structure(jpeg_with_segments(100)) == (plain + 100, 0)
    assert bounds.find_excess(jpeg_with_segments(bounds.MAX_CHUNKS + 1)) is not None


def test_files_at_the_bound_are_read_in_time(reader: C2PACredentialReader) -> None:
    began = time.monotonic()
    assert reader.read(png_with_chunks(bounds.MAX_CHUNKS)).state is CredentialState.NONE
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (png_with_chunks(bounds.MAX_CHUNKS + 1), "signet.limit.chunks"),
        (with_store(ImageFormat.PNG), "signet.limit.assertions"),
        (with_store(ImageFormat.WEBP), "signet.limit.assertions"),
        (with_store(ImageFormat.JPEG), "signet.limit.assertions"),
        (MANY_BOXES, "signet.limit.assertions"),
        (bytes(MAX_BYTES + 1), "signet.limit.bytes"),
    ],
    ids=["chunks", "png store", "webp store", "jpeg store", "bare store", "bytes"],
)
def test_files_over_a_bound_never_reach_the_parser(ours: Identity, data: bytes, code: str) -> None:
    pool = BrokenPool(AssertionError("must not be asked"))
    report = C2PACredentialReader(ours.keys.anchors, pool=pool).read(data)
    assert report.state is CredentialState.UNREADABLE
    assert report.codes == (code,)
    assert "not examined" in report.explanation


def test_many_assertions_are_stopped_before_they_cost_seconds(ours: Identity, reader: C2PACredentialReader) -> None:
    """The real thing: a signed file whose assertions make validation quadratic."""
    from c2pa import Builder, Context

    definition: dict[str, Any] = {
        "claim_generator_info": [{"name": "x", "version": "1"}],
        "assertions": [
            {
                "label": "c2pa.actions.v2",
                "data": {
                    "actions": [
                        {"action": "c2pa.created", "digitalSourceType": "http://c2pa.org/digitalsourcetype/empty"}
                    ]
                },
            },
            *({"label": f"org.example.a{i}", "data": {"v": i}} for i in range(bounds.MAX_JUMBF_BOXES)),
        ],
    }
    out = io.BytesIO()
    context = Context.from_dict({"builder": {"thumbnail": {"enabled": False}}, "verify": {"verify_after_sign": False}})
    with Builder(definition, context=context) as builder:
        builder.sign(ours.signer._signers.get(None), "image/png", io.BytesIO(encoded(ImageFormat.PNG)), out)
    began = time.monotonic()
    assert reader.read(out.getvalue()).codes == ("signet.limit.assertions",)
    assert time.monotonic() - began < 0.1
    assert reader.read(ours.edited(out.getvalue())).ingredients[0].state is CredentialState.NONE, "nor as a parent"


# --- workers that fail -----------------------------------------------------------------------------------------------


def test_a_parser_that_dies_of_a_file_is_a_report(ours: Identity) -> None:
    reader = C2PACredentialReader(ours.keys.anchors, pool=BrokenPool(WorkerError("died")))
    report = reader.read(ours.signed())
    assert (report.state, report.codes) == (CredentialState.UNREADABLE, ("signet.unreadable.parser_failed",))


def test_a_slow_file_meets_its_deadline_and_the_next_one_is_read(ours: Identity) -> None:
    with WorkerPool(size=1, preload=("c2pa", "guard.provenance.read")) as pool:
        pool.warm()
        slow = png_with_chunks(bounds.MAX_CHUNKS)
        report = C2PACredentialReader(ours.keys.anchors, pool=pool, deadline_s=0.02).read(slow)
        assert (report.state, report.codes) == (CredentialState.UNREADABLE, ("signet.limit.time",))
        assert "longer than 0.02 s" in report.explanation
        assert ours.reader(pool).read(ours.signed()).state is CredentialState.TRUSTED


def test_a_busy_pool_is_not_the_files_fault(ours: Identity) -> None:
    with pytest.raises(BusyError):
        C2PACredentialReader(ours.keys.anchors, pool=BrokenPool(BusyError("busy"))).read(ours.signed())


def test_with_and_without_a_worker_the_report_is_the_same(ours: Identity, foreign: Identity, pool: WorkerPool) -> None:
    for data in (ours.signed(), foreign.signed(), ours.edited(foreign.signed()), encoded(ImageFormat.WEBP), b"junk"):
        assert ours.reader(pool).read(data) == ours.reader(None).read(data)
