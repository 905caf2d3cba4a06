"""The autoencoder attack with random weights of the right form: shapes, determinism, and clear refusals."""

from pathlib import Path

import numpy as np
import pytest

from guard.errors import WeightsError
from guard.robustness.regeneration import DECODER_FILE, ENCODER_FILE, _taef2_modules, regeneration_attacks

torch = pytest.importorskip("torch")
PICTURE = np.random.default_rng(0).integers(0, 256, (50, 67, 3), np.uint8)


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    from safetensors.torch import save_file

    torch.manual_seed(0)
    for module, name in zip(_taef2_modules(), (ENCODER_FILE, DECODER_FILE), strict=True):
        save_file(module.state_dict(), tmp_path / name)
    return tmp_path


def test_a_round_trip_keeps_the_form_and_the_seed_decides_the_noise(weights: Path) -> None:
    plain, noisy = regeneration_attacks(weights)
    assert plain(PICTURE).shape == (48, 64, 3)
    assert np.array_equal(plain(PICTURE, seed=1), plain(PICTURE, seed=2))
    assert np.array_equal(noisy(PICTURE, seed=1), noisy(PICTURE, seed=1))
    assert not np.array_equal(noisy(PICTURE, seed=1), noisy(PICTURE, seed=2))


def test_a_diffusers_folder_works_too(tmp_path: Path) -> None:
    diffusers = pytest.importorskip("diffusers")
    torch.manual_seed(0)
    model = diffusers.AutoencoderKL(block_out_channels=(8,), norm_num_groups=4, latent_channels=4)
    model.save_pretrained(tmp_path, safe_serialization=True)
    assert regeneration_attacks(tmp_path)[0](PICTURE).shape == (48, 64, 3)


def test_an_empty_folder_and_wrong_weights_are_refused(tmp_path: Path, weights: Path) -> None:
    with pytest.raises(WeightsError, match="No autoencoder"):
        regeneration_attacks(tmp_path / "nothing")
    (weights / ENCODER_FILE).write_bytes((weights / DECODER_FILE).read_bytes())
    with pytest.raises(WeightsError, match="cannot be loaded"):
        regeneration_attacks(weights)
