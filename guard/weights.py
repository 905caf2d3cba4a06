"""Model weights: pinned digests, checked before any parser touches the bytes.

Flow: a part that ships or downloads weights describes each file by a ``WeightSpec`` (or a whole folder by a
``digests.json``), and calls ``verify_file`` or ``verify_folder`` before it hands the path to a loader::

    path = verify_file(folder / "model.onnx", spec)          # returns the path, or raises WeightsError
    digests = verify_folder(folder, read_digests(folder))    # returns {relative path: sha256}, or raises WeightsError
    card_digest = content_digest(digests)

Only formats that cannot run code are accepted: safetensors and ONNX. A folder must not be writable by others than
the service: what is swapped between the check and the load is not seen.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from guard.errors import ConfigError, WeightsError

SAFE_SUFFIXES = frozenset({".safetensors", ".onnx"})
"""Weight formats without executable content. Source: safetensors format specification; ONNX is a protobuf graph."""
PICKLE_SUFFIXES = frozenset(
    {".bin", ".ckpt", ".pt", ".pth", ".pkl", ".pickle", ".joblib", ".npy", ".npz", ".h5", ".msgpack"}
)
"""Formats that run or may run code when loaded. Source: Python ``pickle`` documentation, "not secure" warning."""
CODE_SUFFIXES = frozenset({".py", ".pyc", ".so", ".dll", ".dylib"})
"""A model folder that carries code is never loaded, whatever the loader's own switch says."""
DOCUMENT_SUFFIXES = frozenset({".md", ".png", ".jpg", ".jpeg", ".webp", ".svg", ".pdf"})
"""Files that no loader opens; they need no digest."""
DIGESTS_FILE = "digests.json"
MAX_DIGESTS_BYTES = 4 * 1024 * 1024
"""A digest line has about 130 bytes: 4 MiB hold 30 000 files, a hundred times the largest pipeline on the hub."""
_CHUNK = 1024 * 1024
_HEX_SHA256 = re.compile(r"[0-9a-f]{64}")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_HUB_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}/[A-Za-z0-9][A-Za-z0-9._-]{0,95}")


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightSpec:
    """One pinned weight file.

    Attributes:
        id: stable name inside Signet, e.g. ``nsfw.marqo.v1``.
        revision: the commit or release the file was taken from.
        sha256: 64 lower-case hex digits.
        size_bytes: exact size; checked first because it is cheap.
        licence: SPDX id or the licence's name.
        source_url: where a person can fetch the same bytes.
    """

    id: str
    revision: str
    sha256: str
    size_bytes: int
    licence: str
    source_url: str

    def __post_init__(self) -> None:
        """Refuse a spec that pins nothing."""
        if not _HEX_SHA256.fullmatch(self.sha256):
            raise WeightsError(
                f"Weight spec {self.id!r}: sha256 is {self.sha256!r}; expected 64 lower-case hex digits."
            )
        if self.size_bytes < 1:
            raise WeightsError(f"Weight spec {self.id!r}: size_bytes is {self.size_bytes}; expected at least 1.")


def sha256_file(path: Path) -> str:
    """Return the SHA-256 of a file's bytes as 64 hex digits, read in 1 MiB pieces.

    Raises:
        WeightsError: the file cannot be read.
    """
    digest = hashlib.sha256()
    try:
        with path.open("rb") as stream:
            while chunk := stream.read(_CHUNK):
                digest.update(chunk)
    except OSError as exc:
        raise WeightsError(f"The weight file {path} cannot be read: {exc.strerror or exc}.") from exc
    return digest.hexdigest()


def verify_file(path: Path, spec: WeightSpec) -> Path:
    """Return ``path`` once its format, size and SHA-256 are those of ``spec``.

    Raises:
        WeightsError: missing, a format that can run code, another size, or another digest.
    """
    require_safe_format(path)
    if not path.is_file():
        raise WeightsError(
            f"The weights {spec.id!r} are missing: no file at {path}.",
            next_step=f"Fetch revision {spec.revision} from {spec.source_url} and put it there.",
        )
    size = path.stat().st_size
    if size != spec.size_bytes:
        raise WeightsError(f"The weights {spec.id!r} at {path} have {size} bytes; expected {spec.size_bytes}.")
    _require_digest(path, sha256_file(path), spec.sha256)
    return path


def verify_folder(folder: Path, digests: Mapping[str, str]) -> dict[str, str]:
    """Return the digests of a folder once every loadable file in it has been checked.

    Every listed file must exist with its digest, and every file that a loader could open must be listed; only
    documents (``DOCUMENT_SUFFIXES``, LICENSE, dot files) and ``digests.json`` itself may be unlisted.

    Args:
        folder: root of the model.
        digests: {path relative to ``folder``, with forward slashes: SHA-256 as 64 lower-case hex digits}; not empty.

    Raises:
        WeightsError: nothing listed, a missing, changed, unlisted or code-carrying file, or a path outside the folder.
    """
    if not folder.is_dir():
        raise WeightsError(f"The model folder {folder} does not exist.")
    if not digests:
        raise WeightsError(f"No digests are pinned for the model folder {folder}.")
    _require_listed(folder, digests)
    for name, expected in sorted(digests.items()):
        path = _inside(folder, name)
        if not path.is_file():
            raise WeightsError(f"The model folder {folder} lacks {name!r}, which its digests pin.")
        if path.suffix.lower() in PICKLE_SUFFIXES:
            require_safe_format(path)
        _require_digest(path, sha256_file(path), expected)
    return dict(sorted(digests.items()))


def read_digests(folder: Path) -> dict[str, str]:
    """Return the content of ``digests.json`` of a model folder: {relative path: sha256}.

    Raises:
        WeightsError: missing, too large, not JSON, or not a mapping of paths to SHA-256 digests.
    """
    path = folder / DIGESTS_FILE
    try:
        if path.stat().st_size > MAX_DIGESTS_BYTES:
            raise WeightsError(f"{path} is larger than {MAX_DIGESTS_BYTES} bytes.")
        loaded = json.loads(path.read_text(encoding="utf-8"))
    except OSError as exc:
        raise WeightsError(f"The digests of the model folder cannot be read: {path}: {exc.strerror or exc}.") from exc
    except ValueError as exc:
        raise WeightsError(f"{path} is not valid JSON.") from exc
    if not isinstance(loaded, dict) or not loaded:
        raise WeightsError(f"{path} must be a JSON object of relative paths and SHA-256 digests.")
    for name, digest in loaded.items():
        if not isinstance(digest, str) or not _HEX_SHA256.fullmatch(digest):
            raise WeightsError(f"{path}: the digest of {name!r} is not 64 lower-case hex digits.")
    return loaded


def content_digest(digests: Mapping[str, str]) -> str:
    """Return one SHA-256 for a set of files: over the lines ``<sha256>  <path>``, sorted by path.

    The text is what ``sha256sum`` prints for the same relative paths in C order, so it can be recomputed by hand.
    """
    lines = "".join(f"{digest}  {name}\n" for name, digest in sorted(digests.items()))
    return hashlib.sha256(lines.encode()).hexdigest()


def require_digest(actual: str, expected: str, *, what: str) -> None:
    """Raise WeightsError when a content digest differs from the pinned one."""
    if not hmac.compare_digest(actual, expected):
        raise WeightsError(f"{what} has SHA-256 {actual}; expected {expected}.")


def require_safe_format(path: Path) -> Path:
    """Return ``path`` when its suffix names a format that cannot run code; raise WeightsError otherwise."""
    if path.suffix.lower() not in SAFE_SUFFIXES:
        raise WeightsError(
            f"The weight file {path.name!r} is of type {path.suffix or '(none)'}; only "
            f"{', '.join(sorted(SAFE_SUFFIXES))} are loaded, because the others can run code.",
            next_step="Convert the weights to safetensors, or use a revision that ships them.",
        )
    return path


def require_hub_id(text: str) -> str:
    """Return ``text`` when it is a hub id (``owner/name``); raise ConfigError otherwise."""
    if not _HUB_ID.fullmatch(text) or ".." in text:
        raise ConfigError(f"{text!r} is not a hub id; expected owner/name.")
    return text


def require_commit(revision: str | None, *, what: str) -> str:
    """Return ``revision`` when it is a full commit id.

    A branch or tag can be moved to other weights after they were approved; a commit cannot.

    Raises:
        ConfigError: None, a branch, a tag or a shortened commit.
    """
    if revision is None or not _COMMIT.fullmatch(revision):
        raise ConfigError(
            f"{what} needs a pinned revision: got {revision!r}, expected the 40 hex digits of a commit.",
            next_step="Copy the full commit id from the model's history page; branches and tags can be moved.",
        )
    return revision


def _require_digest(path: Path, actual: str, expected: str) -> None:
    """Raise WeightsError when a file's digest differs from the pinned one."""
    require_digest(actual, expected, what=f"The file {path}")


def _inside(folder: Path, name: str) -> Path:
    """Return the path of a listed name; raise for one that leaves the folder."""
    pure = PurePosixPath(name)
    if pure.is_absolute() or ".." in pure.parts or "\\" in name or ":" in name:
        raise WeightsError(f"The digests of {folder} name {name!r}, which is not inside the folder.")
    return folder.joinpath(*pure.parts)


def _require_listed(folder: Path, digests: Mapping[str, str]) -> None:
    """Raise for a file that a loader could open although no digest pins it."""
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.suffix.lower() in CODE_SUFFIXES:
            raise WeightsError(f"The model folder {folder} carries code: {name!r}.")
        if path.is_dir() or name in digests or name == DIGESTS_FILE or is_document(path):
            continue
        raise WeightsError(
            f"The model folder {folder} holds {name!r}, which its digests do not pin.",
            next_step="Remove the file, or pin its digest after you have checked where it comes from.",
        )


def is_document(path: Path) -> bool:
    """Return whether no loader opens this file: pictures, Markdown, licence texts, dot files."""
    return (
        path.suffix.lower() in DOCUMENT_SUFFIXES
        or path.name.startswith(".")
        or path.stem.upper() in {"LICENSE", "LICENCE", "NOTICE", "COPYING"}
    )
