"""Decoders and aligned pairs: shapes, repeatability, the same subject with other pixels, and joined examples."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from skimage import data

from training.pixels.crops import SIDE, read_crops
from training.pixels.decoders import KINDS, Autoencoder, as_tensor, reconstruction_loss, train_autoencoder
from training.pixels.heads import Examples
from training.pixels.pairs import redrawn, write_pairs


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two real source groups and a generated one, two crops each."""
    photos = [data.astronaut(), data.coffee(), data.chelsea()]
    crops = np.stack([photo[:SIDE, x : x + SIDE] for photo in photos for x in (0, 100)])
    crops.tofile(tmp_path / "crops.u8")
    rows = [{"generated": index > 3, "group": f"g{index // 2}", "family": None} for index in range(6)]
    (tmp_path / "crops.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_decoder_gives_back_the_size_and_learns(kind: str, folder: Path) -> None:
    wanted = as_tensor(np.asarray(read_crops(folder)[0][:1]))
    model, again = (train_autoencoder(kind, folder, steps=4) for _ in range(2))
    torch.manual_seed(1)
    with torch.no_grad():
        before = Autoencoder(kind).eval()(wanted)
        after = model(wanted)
        assert before.shape == after.shape == wanted.shape
        assert torch.equal(after, again(wanted))
        assert reconstruction_loss(after, wanted) < reconstruction_loss(before, wanted)
        assert reconstruction_loss(wanted, wanted) == 0


def test_copies_show_the_same_with_other_pixels(folder: Path) -> None:
    crop = np.asarray(read_crops(folder)[0][0])
    softened = [redrawn(crop, lambda x: 0.9 * x, np.random.default_rng(seed)) for seed in range(8)]
    assert {copy.shape for copy in softened} == {crop.shape}
    for copy in softened:
        assert not np.array_equal(copy, crop)
        assert np.corrcoef(copy.ravel(), crop.ravel())[0, 1] > 0.97


def test_pairs_are_made_of_real_crops_once(folder: Path) -> None:
    calls: list[int] = []

    def identity(x: torch.Tensor) -> torch.Tensor:
        calls.append(1)
        return x

    target = write_pairs(folder, {"b": identity, "a": identity}, each=5)
    crops, rows = read_crops(target)
    assert crops.shape == (10, SIDE, SIDE, 3)
    assert [row["group"] for row in rows] == ["aligned-a"] * 5 + ["aligned-b"] * 5
    assert all(row["generated"] and int(str(row["crop"])) < 4 for row in rows)
    assert write_pairs(folder, {"a": identity}, each=5) == target
    assert len(calls) == 10


def test_examples_are_joined_row_by_row() -> None:
    one = Examples(
        features=np.zeros((2, 3), np.float32), labels=np.array([True, False]), groups=["a", "b"],
        families=np.array([1, -1]),
    )  # fmt: skip
    both = one.joined(one.subset(np.array([True, False])))
    assert both.features.shape == (3, 3)
    assert both.groups == ["a", "b", "a"]
    assert both.families.tolist() == [1, -1, 1]
