"""Weights that an operator installed: one folder each, with a record that pins every file by its SHA-256.

::

    <home>/weights/univfd/model.safetensors     what is loaded
    <home>/weights/univfd/installed.json        the record: digests, where the file came from, accepted licence
    <home>/weights/univfd/card.json             optional: a calibration card fitted on the operator's pictures

``read_installed`` reads a record, ``verify_installed`` compares the files with it; a folder without a record is not
installed, whatever lies in it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from detectors.pretrained.catalogue import Entry, Kind, entry_of
from guard.errors import WeightsError
from guard.weights import content_digest, require_digest, sha256_file

WEIGHTS_FOLDER = "weights"
"""Folder in an installation's home that holds the weights of others."""
RECORD_FILE = "installed.json"
CARD_FILE = "card.json"
MAX_RECORD_BYTES = 64 * 1024
AUTOENCODER_PREFIX = "vae-"
"""Folders of autoencoders are called ``vae-NAME``; NAME is the operator's choice."""

Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class InstalledFile(BaseModel):
    """One file: digest and size in bytes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sha256: Digest
    bytes: int = Field(ge=0)


class InstallRecord(BaseModel):
    """What was installed, from where, and what pins it.

    Attributes:
        entry: id in the catalogue, or ``vae-NAME``.
        origin: address or local path it came from.
        published_sha256: digest of the file before it was converted.
        pinned_by: ``catalogue`` (the digest stood there), ``operator`` (given by hand), or ``first use``.
        accepted_licence: the licence that the operator accepted, where that was asked for.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: Literal[1]
    entry: str
    origin: str
    revision: str | None
    published_sha256: Digest
    pinned_by: Literal["catalogue", "operator", "first use"]
    accepted_licence: str | None
    date: str = Field(pattern=r"^\d{4}-\d{2}-\d{2}$")
    files: dict[str, InstalledFile] = Field(min_length=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """An installed set of weights.

    Attributes:
        entry: of the catalogue; None for an autoencoder of the operator.
    """

    folder: Path
    record: InstallRecord
    entry: Entry | None

    @property
    def kind(self) -> Kind:
        """Return what it is for."""
        return self.entry.kind if self.entry else Kind.AUTOENCODER

    @property
    def digest(self) -> str:
        """Return one SHA-256 over all pinned files."""
        return content_digest({name: file.sha256 for name, file in self.record.files.items()})


def find_installed(home: Path) -> dict[str, Installed]:
    """Return what is installed in a home, by id; folders without a record are left out.

    Raises:
        WeightsError: a record is damaged, or names what the catalogue does not know.
    """
    top = home / WEIGHTS_FOLDER
    if not top.is_dir():
        return {}
    folders = sorted(path for path in top.iterdir() if (path / RECORD_FILE).is_file())
    return {folder.name: read_installed(folder) for folder in folders}


def read_installed(folder: Path) -> Installed:
    """Return the record of a folder; the files are not looked at.

    Raises:
        WeightsError: missing, too large, damaged, or of an entry that is unknown or belongs into another folder.
    """
    path = folder / RECORD_FILE
    try:
        if path.stat().st_size > MAX_RECORD_BYTES:
            raise WeightsError(f"{path} is larger than {MAX_RECORD_BYTES} bytes.")
        record = InstallRecord.model_validate_json(path.read_bytes())
    except OSError as exc:
        raise WeightsError(
            f"The weights in {folder} are not pinned: {RECORD_FILE} cannot be read ({exc.strerror or exc}).",
            next_step="Install them with `signet weights fetch`; weights without a pinned digest are never loaded.",
        ) from exc
    except ValidationError as exc:
        raise WeightsError(f"{path} is not a valid record of installed weights.") from exc
    entry = entry_of(record.entry)
    if record.entry != folder.name or (entry is None and not record.entry.startswith(AUTOENCODER_PREFIX)):
        raise WeightsError(f"{path} is the record of {record.entry!r}; expected {folder.name!r} of the catalogue.")
    return Installed(folder=folder, record=record, entry=entry)


def verify_installed(installed: Installed) -> None:
    """Compare every file with its pinned size and digest.

    Raises:
        WeightsError: missing, of another size, or changed.
    """
    for name, pinned in installed.record.files.items():
        path = installed.folder / name
        if not path.is_file():
            raise WeightsError(f"The weights {installed.record.entry!r} lack the file {path}.")
        size = path.stat().st_size
        if size != pinned.bytes:
            raise WeightsError(f"The file {path} has {size} bytes; expected {pinned.bytes}.")
        require_digest(sha256_file(path), pinned.sha256, what=f"The file {path}")


def pin(folder: Path, names: tuple[str, ...]) -> dict[str, InstalledFile]:
    """Return size and digest of files as they are now. Raises WeightsError when one cannot be read."""
    return {
        name: InstalledFile(sha256=sha256_file(folder / name), bytes=(folder / name).stat().st_size) for name in names
    }


def write_record(folder: Path, record: InstallRecord) -> None:
    """Write the record of a folder; from here on its files are installed."""
    text = json.dumps(record.model_dump(mode="json"), indent=1)
    (folder / RECORD_FILE).write_text(text + "\n", encoding="utf-8")


def require_backbone(installed: Installed, all_installed: Mapping[str, Installed]) -> Installed | None:
    """Return the backbone that a detector needs, or None when it needs none.

    Raises:
        WeightsError: it is not installed.
    """
    needed = installed.entry.backbone if installed.entry else None
    if needed is None:
        return None
    if needed not in all_installed:
        raise WeightsError(
            f"The detector learned.{installed.record.entry} looks through {needed!r}, which is not installed.",
            next_step=f"signet weights fetch {needed}",
        )
    return all_installed[needed]
