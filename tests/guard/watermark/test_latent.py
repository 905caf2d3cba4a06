"""The in-generation mark: distribution, round trip under noise, the bound, and inversion of signet-mini."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guard.errors import ConfigError, KeyMaterialError, WatermarkError
from guard.records import ImageID
from guard.watermark.latent import ALGORITHM, LatentMark
from guard.watermark.latent_inversion import inverted_latent
from tests.guard.watermark.pictures import KEY

MARK = LatentMark(KEY)
ID = ImageID("00112233445566ff")
SHAPE = (4, 32, 32)


@given(number=st.integers(0, 2**64 - 1), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=10, deadline=None)
def test_every_id_is_read_from_its_own_latent(number: int, seed: int) -> None:
    image_id = ImageID(f"{number:016x}")
    reading = MARK.read(MARK.draw(image_id, SHAPE, seed=seed))
    assert (reading.image_id, reading.algorithm) == (image_id, ALGORITHM)
    assert reading.log10_p <= -9


def test_a_marked_latent_is_standard_normal_over_keys() -> None:
    latents = np.stack([LatentMark(bytes([k]) * 32).draw(ID, SHAPE, seed=k) for k in range(40)]).reshape(40, -1)
    values = np.sort(latents.reshape(-1))
    from statistics import NormalDist

    expected = np.array([NormalDist().cdf(float(v)) for v in values[::50]])
    observed = (np.arange(values.size)[::50] + 0.5) / values.size
    assert np.abs(expected - observed).max() < 1.95 / np.sqrt(values.size)  # Kolmogorov, one in a thousand
    correlation = latents @ latents.T / latents.shape[1] - np.eye(40) * (latents**2).mean(axis=1)
    assert np.abs(correlation).max() < 5.5 / np.sqrt(latents.shape[1])


def test_strong_noise_is_survived_and_other_keys_read_nothing() -> None:
    noise = np.random.default_rng(1).standard_normal(SHAPE)
    noisy = MARK.draw(ID, SHAPE, seed=3) + 1.5 * noise
    assert MARK.read(noisy).image_id == ID
    for other in (LatentMark(bytes(32)), LatentMark(KEY, tenant="t"), LatentMark(KEY, period="2")):
        assert other.read(noisy).image_id is None


def test_unmarked_latents_stay_under_the_bound() -> None:
    rng = np.random.default_rng(5)
    bounds = np.array([MARK.read(rng.standard_normal((4, 16, 16))).log10_p for _ in range(400)])
    assert (bounds <= -1).mean() <= 0.1
    assert (bounds <= -2).mean() <= 0.02
    constant = MARK.read(np.full(SHAPE, np.nan))
    assert (constant.image_id, constant.log10_p) == (None, 0.0)


def test_more_trials_cost_what_the_union_bound_says() -> None:
    latent = MARK.draw(ID, SHAPE, seed=3)
    assert MARK.read(latent, trials=100).log10_p == pytest.approx(MARK.read(latent).log10_p + 2)


def test_the_seed_decides_magnitudes_and_the_id_some_signs() -> None:
    first, again, other = (MARK.draw(ID, SHAPE, seed=s) for s in (1, 1, 2))
    assert np.array_equal(first, again)
    assert np.array_equal(np.sign(first), np.sign(other))
    assert not np.array_equal(first, other)
    changed = MARK.draw(ImageID("ff" * 8), SHAPE, seed=1)
    assert 0.2 < (np.sign(first) != np.sign(changed)).mean() < 0.55


def test_confirming_needs_fewer_signs_than_reading() -> None:
    """A fifth of the signal: too little to read blindly, plenty for a candidate."""
    faint = 0.2 * MARK.draw(ID, SHAPE, seed=3) + np.random.default_rng(4).standard_normal(SHAPE)
    assert MARK.read(faint).image_id is None
    assert MARK.confirm(faint, ID).image_id == ID
    assert MARK.confirm(faint, ImageID("ff" * 8)).image_id is None
    assert MARK.confirm(faint, ID, trials=10).log10_p == pytest.approx(MARK.confirm(faint, ID).log10_p + 1)


def test_small_latents_bad_ids_and_short_keys_are_refused() -> None:
    with pytest.raises(WatermarkError, match="at least 1024"):
        MARK.draw(ID, (4, 8, 8), seed=0)
    with pytest.raises(WatermarkError, match="16 lower-case"):
        MARK.draw(ImageID("xyz"), SHAPE, seed=0)
    with pytest.raises(KeyMaterialError):
        LatentMark(b"short")


def test_a_pipeline_without_a_unet_is_refused() -> None:
    pytest.importorskip("diffusers")
    with pytest.raises(ConfigError, match="cannot be inverted"):
        inverted_latent(object(), np.zeros((64, 64, 3), np.uint8))


@pytest.fixture(scope="module")
def pipeline() -> Any:
    diffusers = pytest.importorskip("diffusers")
    folder = Path(__file__).resolve().parents[3] / "guard" / "models" / "signet-mini"
    import torch

    loaded = diffusers.DiffusionPipeline.from_pretrained(folder, torch_dtype=torch.float32, local_files_only=True)
    loaded.set_progress_bar_config(disable=True)
    return loaded


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("prompt", ["a red circle above a blue square", "a landscape with mountains and trees"])
def test_an_id_is_confirmed_in_what_signet_mini_made_of_its_latent(pipeline: Any, prompt: str) -> None:
    import torch

    def made(latent: np.ndarray) -> np.ndarray:
        start = torch.from_numpy(latent)[None]
        return np.asarray(pipeline(prompt, num_inference_steps=20, guidance_scale=2.0, latents=start).images[0])

    marked = inverted_latent(pipeline, made(MARK.draw(ID, SHAPE, seed=11)))
    assert MARK.confirm(marked, ID).image_id == ID
    assert MARK.confirm(marked, ImageID("f" * 16)).image_id is None
    assert LatentMark(bytes(32)).confirm(marked, ID).image_id is None
    plain = made(np.random.default_rng(2).standard_normal(SHAPE).astype(np.float32))
    assert MARK.confirm(inverted_latent(pipeline, plain), ID).image_id is None
