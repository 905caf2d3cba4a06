"""Weights are installed whole, pinned and of the published architecture, or not at all; pickles never run."""

import argparse
import os
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from detectors.pretrained.architectures import SAFE  # noqa: E402
from detectors.pretrained.assembly import pretrained_detectors  # noqa: E402
from detectors.pretrained.catalogue import CATALOGUE, Entry, Kind, entry_of  # noqa: E402
from detectors.pretrained.conversion import stored_shapes, write_tensors  # noqa: E402
from detectors.pretrained.installed import RECORD_FILE, Installed, find_installed, read_installed  # noqa: E402
from detectors.pretrained.installed import verify_installed as verify  # noqa: E402
from detectors.pretrained.installer import install  # noqa: E402
from detectors.pretrained.scoring import read_tensors  # noqa: E402
from guard.errors import RequestError, WeightsError  # noqa: E402
from guard.weights import sha256_file  # noqa: E402
from tests.detectors.pretrained.networks import half_resnet_state, saved  # noqa: E402

DAY = date(2026, 11, 23)


def installed(
    name: str, source: Path, home: Path, *, sha256: str | None = None, accepted: bool = True, entry: Entry | None = None
) -> Installed:
    found = entry or entry_of(name)
    assert found is not None
    return install(
        found, source, home=home, origin="test", revision=None, sha256=sha256, accepted=accepted, today=DAY
    )  # fmt: skip


@pytest.mark.slow
def test_a_published_pickle_becomes_pinned_safetensors_with_the_same_numbers(tmp_path: Path) -> None:
    state = half_resnet_state()
    torch.save({f"module.{name}": value for name, value in state.items()}, tmp_path / "NPR.pth")
    found = installed("npr", tmp_path / "NPR.pth", tmp_path)
    verify(found)
    tensors = read_tensors(found.folder / "model.safetensors")
    assert tensors.keys() == state.keys()
    assert all(torch.equal(tensors[name], state[name]) for name in state)
    record = read_installed(found.folder).record
    assert (record.pinned_by, record.accepted_licence) == ("first use", "none stated")
    assert record.published_sha256 == sha256_file(tmp_path / "NPR.pth")
    assert [d.id for d in pretrained_detectors(tmp_path, wanted=("learned.npr",))] == ["learned.npr"]
    assert pretrained_detectors(tmp_path, wanted=("learned.safe",)) == []


def test_a_training_checkpoint_is_unwrapped(tmp_path: Path) -> None:
    state = half_resnet_state(outputs=2)
    checkpoint = {"model": state, "epoch": 3, "args": argparse.Namespace(lr=1e-3)}
    source, target = tmp_path / "checkpoint-best.pth", tmp_path / "model.safetensors"
    torch.save(checkpoint, source)
    write_tensors(str(source), str(target), ("model",))
    assert {name: found.shape for name, found in stored_shapes(target).items()} == SAFE().shapes()
    with pytest.raises(WeightsError, match="no part 'state_dict'"):
        write_tensors(str(source), str(target), ("state_dict",))
    with pytest.raises(WeightsError, match="mapping of names to tensors"):
        write_tensors(str(source), str(target), ())


class Trap:
    """Makes a folder when it is unpickled."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (self.path,)


def test_code_in_a_pickle_is_refused_and_does_not_run(tmp_path: Path) -> None:
    torch.save({"weight": Trap(str(tmp_path / "ran"))}, tmp_path / "evil.pth")
    with pytest.raises(WeightsError, match="not a checkpoint of plain tensors"):
        write_tensors(str(tmp_path / "evil.pth"), str(tmp_path / "out.safetensors"), ())
    assert not (tmp_path / "ran").exists()
    assert not (tmp_path / "out.safetensors").exists()


def test_another_digest_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    source = saved(tmp_path / "npr.safetensors", half_resnet_state())
    with pytest.raises(WeightsError, match="SHA-256"):
        installed("npr", source, tmp_path, sha256="0" * 64)
    with pytest.raises(WeightsError, match="SHA-256"):  # the catalogue's own
        installed("univfd", source, tmp_path)
    found = installed("npr", source, tmp_path, sha256=sha256_file(source))
    assert found.record.pinned_by == "operator"


def test_a_licence_that_asks_for_a_decision_gets_one(tmp_path: Path) -> None:
    source = saved(tmp_path / "npr.safetensors", half_resnet_state())
    with pytest.raises(RequestError, match="licence of npr"):
        installed("npr", source, tmp_path, accepted=False)
    assert installed("safe", saved(tmp_path / "s", half_resnet_state(2)), tmp_path, accepted=False)


def test_other_tensors_are_refused_by_name(tmp_path: Path) -> None:
    state = half_resnet_state()
    state["fc.bias"] = state.pop("fc1.bias")
    with pytest.raises(WeightsError, match=r"missing \(fc1.bias\).*unexpected \(fc.bias\)"):
        installed("npr", saved(tmp_path / "npr.safetensors", state), tmp_path)
    assert not list((tmp_path / "weights").iterdir())


def test_changed_or_unpinned_files_are_never_loaded(tmp_path: Path) -> None:
    found = installed("npr", saved(tmp_path / "npr.safetensors", half_resnet_state()), tmp_path)
    file = found.folder / "model.safetensors"
    whole = file.read_bytes()
    file.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(WeightsError, match="SHA-256"):
        pretrained_detectors(tmp_path, wanted=("learned.npr",))
    file.write_bytes(whole[:-1])
    with pytest.raises(WeightsError, match="bytes; expected"):
        verify(found)
    (found.folder / RECORD_FILE).unlink()
    assert find_installed(tmp_path) == {}
    with pytest.raises(WeightsError, match="not pinned"):
        read_installed(found.folder)


def test_a_missing_backbone_is_named(tmp_path: Path) -> None:
    head = saved(tmp_path / "fc", {"weight": torch.zeros(1, 768), "bias": torch.zeros(1)})
    univfd = entry_of("univfd")
    assert univfd is not None
    installed("univfd", head, tmp_path, entry=replace(univfd, sha256=None))
    with pytest.raises(WeightsError, match="looks through 'clip-vit-l-14'"):
        pretrained_detectors(tmp_path, wanted=("learned.univfd",))


def test_every_entry_says_what_an_operator_must_know() -> None:
    for entry in CATALOGUE:
        assert entry.licence
        assert entry.paper
        assert entry.page.startswith("https://")
        assert entry.url is None or entry.url.startswith("https://")
        assert (entry.sha256 is None) == (entry.digest_source == "")
        assert entry.needs_acceptance == entry.licence.startswith("none stated")
        assert (entry.architecture is not None) == (entry.kind is Kind.DETECTOR)
        assert entry.backbone is None or entry_of(entry.backbone) is not None
    assert len({entry.id for entry in CATALOGUE}) == len(CATALOGUE)
