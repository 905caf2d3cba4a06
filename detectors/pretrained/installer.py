"""Installing weights: a published file becomes a pinned folder, or nothing changes.

(1) the licence was accepted where the catalogue asks for it
(2) the file's digest is the catalogue's or the operator's; where neither is known, what is there now is pinned
(3) pickles become safetensors (``conversion.py``); TorchScript and ONNX stay as they are
(4) the tensors are those of the published architecture
(5) the folder with its record replaces an older one as a whole; a card for other weights goes with it
"""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path
from typing import Literal

from detectors.pretrained.catalogue import CATALOGUE, Entry, Kind
from detectors.pretrained.conversion import convert, stored_shapes
from detectors.pretrained.installed import (
    AUTOENCODER_PREFIX,
    WEIGHTS_FOLDER,
    Installed,
    InstallRecord,
    pin,
    read_installed,
    write_record,
)
from detectors.pretrained.reconstruction import AUTOENCODER_FILES
from detectors.pretrained.scoring import BACKBONE_PREFIX, require_tensors
from guard.errors import RequestError, WeightsError
from guard.weights import content_digest, require_digest, sha256_file

_SAFETENSORS = "model.safetensors"


def require_accepted(entry: Entry, *, accepted: bool) -> str | None:
    """Return the licence that was accepted, or None where that is not asked for.

    Raises:
        RequestError: the licence restricts use or none is stated, and the operator did not accept that.
    """
    if not entry.needs_acceptance:
        return None
    if not accepted:
        raise RequestError(
            f"The licence of {entry.id} needs your decision: {entry.licence}.",
            next_step=f"Read {entry.page}; if you may use the weights, add --accept-licence.",
        )
    return entry.licence


def install(
    entry: Entry,
    source: Path,
    *,
    home: Path,
    origin: str,
    revision: str | None,
    sha256: str | None,
    accepted: bool,
    today: date,
) -> Installed:
    """Install one published file.

    Args:
        entry: what it is.
        source: the file.
        home: of the installation.
        origin: where the file came from, for the record.
        revision: its commit, where there is one.
        sha256: digest that the operator gives; None: the catalogue's, when it has one for this revision.
        accepted: whether the operator accepted the licence.
        today: for the record.

    Raises:
        RequestError: the licence was not accepted.
        WeightsError: another digest, not a checkpoint, or not the published architecture.
    """
    licence = require_accepted(entry, accepted=accepted)  # (1)
    found = sha256_file(source)
    known = entry.sha256 if revision in (None, entry.revision) else None
    expected = sha256 or known
    pinned_by: Literal["catalogue", "operator", "first use"] = "first use"
    if expected is not None:  # (2)
        require_digest(found, expected, what=f"The file {source}")
        pinned_by = "operator" if sha256 else "catalogue"
    staged = _staged(home, entry.id)
    try:
        target = staged / entry.file
        if entry.file == _SAFETENSORS and not _is_safetensors(source):
            convert(source, target, unwrap=entry.unwrap)  # (3)
        else:
            shutil.copyfile(source, target)
        _require_architecture(entry, target)  # (4)
        record = InstallRecord(
            version=1,
            entry=entry.id,
            origin=origin,
            revision=revision,
            published_sha256=found,
            pinned_by=pinned_by,
            accepted_licence=licence,
            date=today.isoformat(),
            files=pin(staged, (entry.file,)),
        )
        return _moved_in(staged, home, record)  # (5)
    finally:
        shutil.rmtree(staged, ignore_errors=True)


def install_autoencoder(folder: Path, *, name: str, home: Path, sha256: str | None, today: date) -> Installed:
    """Install a folder as ``save_pretrained`` of a diffusers AutoencoderKL writes it, as ``vae-NAME``.

    Args:
        folder: AUTOENCODER_FILES are copied from it.
        name: lower-case letters, digits and hyphens; checked by the caller.
        home: of the installation.
        sha256: content digest that the files must have, or None.
        today: for the record.

    Raises:
        WeightsError: a file is missing, or another digest.
    """
    staged = _staged(home, f"{AUTOENCODER_PREFIX}{name}")
    try:
        for file in AUTOENCODER_FILES:
            if not (folder / file).is_file():
                raise WeightsError(
                    f"{folder} lacks {file}: it is no folder of a diffusers autoencoder.",
                    next_step="Name the `vae` folder of a diffusers model with safetensors.",
                )
            shutil.copyfile(folder / file, staged / file)
        files = pin(staged, AUTOENCODER_FILES)
        digest = content_digest({file: pinned.sha256 for file, pinned in files.items()})
        if sha256 is not None:
            require_digest(digest, sha256, what=f"The folder {folder}")
        record = InstallRecord(
            version=1,
            entry=f"{AUTOENCODER_PREFIX}{name}",
            origin=str(folder),
            revision=None,
            published_sha256=digest,
            pinned_by="operator" if sha256 else "first use",
            accepted_licence=None,
            date=today.isoformat(),
            files=files,
        )
        return _moved_in(staged, home, record)
    finally:
        shutil.rmtree(staged, ignore_errors=True)


def _staged(home: Path, name: str) -> Path:
    """Return an empty folder beside the final one, on the same file system."""
    folder = home / WEIGHTS_FOLDER / f".{name}.new"
    try:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    except OSError as exc:
        raise RequestError(f"The folder {folder} cannot be made: {exc.strerror or exc}.") from exc
    return folder


def _moved_in(staged: Path, home: Path, record: InstallRecord) -> Installed:
    """Write the record and put the folder in its place."""
    write_record(staged, record)
    final = home / WEIGHTS_FOLDER / record.entry
    if final.exists():
        shutil.rmtree(final)
    staged.rename(final)
    return read_installed(final)


def _is_safetensors(path: Path) -> bool:
    try:
        stored_shapes(path)
    except WeightsError:
        return False
    return True


def _require_architecture(entry: Entry, path: Path) -> None:
    """Raise WeightsError when tensors are not those of the entry's network or, for a backbone, of its users."""
    if entry.kind is Kind.DETECTOR and entry.architecture is not None:
        require_tensors(stored_shapes(path), entry.architecture.shapes(), what=entry.title)
    if entry.holds is not None:
        present = {name: shape for name, shape in stored_shapes(path).items() if name in entry.holds}
        require_tensors(present, entry.holds, what=entry.title)
    if entry.kind is Kind.BACKBONE:
        found = {name: shape for name, shape in stored_shapes(path).items() if name.startswith(BACKBONE_PREFIX)}
        users = (user.architecture for user in CATALOGUE if user.backbone == entry.id)
        require_tensors(found, next(one.backbone_shapes() for one in users if one is not None), what=entry.title)
