"""Digests are checked before anything is parsed, and nothing unpinned lies beside what is pinned."""

import hashlib
import json
import subprocess
from pathlib import Path

import pytest

from guard.errors import ConfigError, WeightsError
from guard.weights import (
    WeightSpec,
    content_digest,
    read_digests,
    require_commit,
    require_hub_id,
    sha256_file,
    verify_file,
    verify_folder,
)

CONTENT = b"weights" * 1000


def spec(content: bytes = CONTENT) -> WeightSpec:
    return WeightSpec(
        id="test.weights",
        revision="1",
        sha256=hashlib.sha256(content).hexdigest(),
        size_bytes=len(content),
        licence="Apache-2.0",
        source_url="https://example.org/weights",
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A small model folder with its digests."""
    (tmp_path / "unet").mkdir()
    (tmp_path / "unet" / "model.safetensors").write_bytes(CONTENT)
    (tmp_path / "unet" / "config.json").write_text("{}")
    (tmp_path / "README.md").write_text("documents need no digest")
    (tmp_path / "LICENSE").write_text("Apache-2.0")
    names = ("unet/model.safetensors", "unet/config.json")
    (tmp_path / "digests.json").write_text(json.dumps({name: sha256_file(tmp_path / name) for name in names}))
    return tmp_path


def test_a_file_with_its_digest_is_returned(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(CONTENT)
    assert verify_file(path, spec()) == path


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("model.onnx", None, "are missing: no file at"),
        ("model.onnx", CONTENT + b"x", "have 7001 bytes; expected 7000"),
        ("model.onnx", b"w" + CONTENT[:-1], "has SHA-256 .* expected"),
        ("model.bin", CONTENT, r"is of type \.bin; only \.onnx, \.safetensors are loaded"),
        ("model.CKPT", CONTENT, "can run code"),
        ("model", CONTENT, r"is of type \(none\)"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, name: str, content: bytes | None, message: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(WeightsError, match=message):
        verify_file(tmp_path / name, spec())


@pytest.mark.parametrize(("field", "value"), [("sha256", "ABC"), ("sha256", "0" * 63), ("size_bytes", 0)])
def test_a_spec_must_pin_something(field: str, value: object) -> None:
    fields = {"id": "x", "revision": "1", "sha256": "0" * 64, "size_bytes": 1, "licence": "", "source_url": ""}
    with pytest.raises(WeightsError, match=field):
        WeightSpec(**{**fields, field: value})  # type: ignore[arg-type]


def test_a_folder_with_its_digests_is_returned(folder: Path) -> None:
    digests = read_digests(folder)
    assert verify_folder(folder, digests) == digests
    assert list(digests) == ["unet/model.safetensors", "unet/config.json"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("unet/model.safetensors", b"other", "has SHA-256"),
        ("unet/config.json", b'{"changed": 1}', "has SHA-256"),
        ("unet/model.safetensors", None, "lacks 'unet/model.safetensors'"),
        ("vae/extra.safetensors", b"x", "'vae/extra.safetensors', which its digests do not pin"),
        ("unet/other.json", b"{}", "'unet/other.json', which its digests do not pin"),
        ("unet/pytorch_model.bin", b"x", "do not pin"),
        ("pipeline.py", b"print()", "carries code: 'pipeline.py'"),
        ("native.so", b"x", "carries code"),
    ],
)
def test_a_folder_that_differs_is_refused(folder: Path, name: str, content: bytes | None, message: str) -> None:
    digests, path = read_digests(folder), folder / name
    path.parent.mkdir(exist_ok=True)
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    with pytest.raises(WeightsError, match=message):
        verify_folder(folder, digests)


def test_a_pinned_pickle_is_still_refused(folder: Path) -> None:
    (folder / "model.bin").write_bytes(b"x")
    with pytest.raises(WeightsError, match="can run code"):
        verify_folder(folder, read_digests(folder) | {"model.bin": sha256_file(folder / "model.bin")})


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "unet/../../x", "unet\\model", "C:/x"])
def test_digests_cannot_name_files_outside(folder: Path, name: str) -> None:
    with pytest.raises(WeightsError, match="not inside the folder"):
        verify_folder(folder, read_digests(folder) | {name: "0" * 64})


def test_nothing_pinned_is_not_verified(folder: Path) -> None:
    with pytest.raises(WeightsError, match="No digests are pinned"):
        verify_folder(folder, {})
    with pytest.raises(WeightsError, match="does not exist"):
        verify_folder(folder / "missing", {"a": "0" * 64})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "cannot be read"),
        ("not json", "not valid JSON"),
        ("[]", "must be a JSON object"),
        ("{}", "must be a JSON object"),
        ('{"a": 1}', "digest of 'a'"),
        ('{"a": "ABC"}', "digest of 'a'"),
        (" " * (4 * 1024 * 1024 + 1), "larger than"),
    ],
)
def test_broken_digest_files_are_refused(tmp_path: Path, text: str | None, message: str) -> None:
    if text is not None:
        (tmp_path / "digests.json").write_text(text)
    with pytest.raises(WeightsError, match=message):
        read_digests(tmp_path)


def test_the_content_digest_is_what_sha256sum_gives(folder: Path) -> None:
    command = "LC_ALL=C find unet -type f | LC_ALL=C sort | xargs sha256sum | sha256sum"
    done = subprocess.run(["bash", "-c", command], cwd=folder, capture_output=True, text=True, check=True)
    assert content_digest(read_digests(folder)) == done.stdout.split()[0]


def test_an_unreadable_file_is_an_error_of_ours(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="cannot be read"):
        sha256_file(tmp_path / "missing")


def test_pinning() -> None:
    commit = "0123456789abcdef0123456789abcdef01234567"
    assert require_commit(commit, what="x") == commit
    assert require_hub_id("owner/name-1.0") == "owner/name-1.0"
    for revision in (None, "", "main", commit + "0", commit[:-1] + "g"):
        with pytest.raises(ConfigError, match="40 hex digits"):
            require_commit(revision, what="x")
