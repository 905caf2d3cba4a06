"""Files of every state: ours of each kind and format, tampered with in each way, foreign, stripped and damaged."""

import io
import time
from datetime import timedelta
from pathlib import Path

from PIL import Image

from guard.provenance.containers import container_type
from guard.provenance.manifest import ManifestKind
from guard.provenance.sign import C2PACredentialSigner
from guard.records import ImageFormat, LabelMode
from tests.guard.provenance.media_files import FILES
from tests.guard.provenance.support import (
    GENERATOR,
    Identity,
    encoded,
    facts,
    flip_after,
    flipped,
    picture,
    png_chunks,
    png_from,
    store_span,
)

LIFETIME_S = 2


def build(ours: Identity, foreign: Identity) -> dict[str, bytes]:
    """File name -> bytes."""
    good = ours.signed()
    theirs = foreign.signed()
    broken_parent = flipped(theirs, theirs.index(b"IDAT") + 40)
    made = {f"ours.{kind.suffix[1:]}": ours.signed(kind) for kind in ImageFormat}
    made |= {
        "ours-labelled.png": ours.signed(label=LabelMode.GENERATED),
        "ours-unmarked.png": ours.signed(watermark_algorithm=None),
        "ours-with-prompt.png": ours.signed(prompt="a lighthouse"),
        "edited-own-parent.png": ours.edited(good),
        "edited-foreign-parent.jpg": ours.edited(theirs, ImageFormat.JPEG),
        "edited-plain-parent.webp": ours.edited(encoded(ImageFormat.PNG), ImageFormat.WEBP),
        "edited-broken-parent.png": ours.edited(broken_parent),
        "imported.png": imported(ours, encoded(ImageFormat.PNG)),
        "imported-foreign.png": imported(ours, theirs),
        "foreign.png": theirs,
        "foreign.jpg": foreign.signed(ImageFormat.JPEG),
        "foreign.webp": foreign.signed(ImageFormat.WEBP),
        "plain.png": encoded(ImageFormat.PNG),
        "plain.jpg": encoded(ImageFormat.JPEG),
        "plain.webp": encoded(ImageFormat.WEBP),
        "expired.png": expired(ours),
    }
    for media_type in ("image/avif", "image/tiff", "image/gif", "audio/wav", "video/mp4"):
        name = "ours." + media_type.partition("/")[2]
        made[name] = ours.signer.sign_bytes(facts(watermark_algorithm=None), FILES[media_type], media_type).data
    return made | tampered(good, theirs, ours.signed(ImageFormat.JPEG), ours.signed(ImageFormat.WEBP))


def imported(ours: Identity, parent: bytes) -> bytes:
    stated = facts(ManifestKind.IMPORTED, model_name="", model_revision="", model_id="")
    return ours.signer.sign_bytes(stated, encoded(ImageFormat.PNG), "image/png", parent=parent).data


def expired(ours: Identity) -> bytes:
    """Signed with a certificate that runs out before anybody reads it."""
    signer = C2PACredentialSigner(ours.short_lived(timedelta(seconds=LIFETIME_S)), claim_generator=GENERATOR)
    data = signer.sign_bytes(facts(), encoded(ImageFormat.PNG), "image/png").data
    time.sleep(LIFETIME_S + 1)
    return data


def tampered(png: bytes, other: bytes, jpeg: bytes, webp: bytes) -> dict[str, bytes]:
    """Changes after signing, each of another kind."""
    chunks = png_chunks(png)
    store = next(chunk for chunk in chunks if chunk[0] == b"caBX")
    second = next(chunk for chunk in png_chunks(other) if chunk[0] == b"caBX")
    plain = [chunk for chunk in chunks if chunk[0] != b"caBX"]
    start, end = store_span(jpeg)
    moved = io.BytesIO()
    Image.fromarray(picture()[::-1].copy()).save(moved, "PNG")
    elsewhere = png_chunks(moved.getvalue())
    saved_again = io.BytesIO()
    Image.open(io.BytesIO(png)).save(saved_again, "PNG")
    return {
        "pixel-changed.png": flipped(png, png.index(b"IDAT") + 40),
        "pixel-changed.jpg": flipped(jpeg, len(jpeg) - 40),
        "pixel-changed.webp": flipped(webp, len(webp) - 40),
        "appended.png": png + b"tail",
        "appended.jpg": jpeg + b"tail",
        "chunk-inserted.png": png_from([plain[0], store, (b"tEXt", b"Comment\0hello"), *plain[1:]]),
        "statement-changed.png": flip_after(png, b"tiny-mode"),
        "statement-changed.jpg": flip_after(jpeg, b"tiny-mode"),
        "claim-changed.png": flip_after(png, b"claim_generator_info", 8),
        "store-moved.png": png_from([elsewhere[0], store, *elsewhere[1:]]),
        "store-removed.png": png_from(plain),
        "saved-again.png": saved_again.getvalue(),
        "two-stores.png": png_from([plain[0], store, second, *plain[1:]]),
        "store-cut.jpg": jpeg[: start + (end - start) // 2],
    }


def write(folder: Path, files: dict[str, bytes]) -> list[tuple[str, str]]:
    """Write the files; return (name, media type) of each."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for name, data in files.items():
        (folder / name).write_bytes(data)
        rows.append((name, container_type(data) or "application/octet-stream"))
    return rows
