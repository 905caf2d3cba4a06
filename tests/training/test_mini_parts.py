"""Parts of signet-mini's making that need no trained weights: latent space, optimiser, tokenizer, statistics."""

from __future__ import annotations

import numpy as np
import pytest

from training.mini.latent_space import DEVIATION, LATENT_CHANNELS, LATENT_SIZE, MEAN, picture_latents
from training.mini.scenes import scene_at
from training.mini.vocabulary import COLOURS, SHAPES

torch = pytest.importorskip("torch")


def test_flat_picture_gives_its_colour_and_no_variation() -> None:
    picture = np.full((1, 256, 256, 3), (255, 0, 51), np.uint8)
    latents = picture_latents(picture)
    assert latents.shape == (1, LATENT_CHANNELS, LATENT_SIZE, LATENT_SIZE)
    raw = latents * np.reshape(DEVIATION, (1, 4, 1, 1)) + np.reshape(MEAN, (1, 4, 1, 1))
    assert np.allclose(raw[0, :, 5, 7], (1.0, -1.0, -0.6, 0.0), atol=1e-5)
    assert np.allclose(raw, raw[:, :, :1, :1], atol=1e-5)


def test_edge_in_a_cell_is_variation() -> None:
    picture = np.zeros((1, 256, 256, 3), np.uint8)
    picture[:, :, 132:] = 255  # the edge cuts cell column 16 in its middle
    latents = picture_latents(picture)[0, 3]
    assert latents[:, 16].min() > latents[:, 15].max()
    assert latents[:, 16].min() > latents[:, 17].max()


def test_latents_are_normalised() -> None:
    from training.mini.drawing import draw

    latents = picture_latents(np.stack([draw(scene_at(31, i)) for i in range(60)]))
    assert np.all(np.abs(latents.mean(axis=(0, 2, 3))) < 0.4)
    assert np.all(np.abs(latents.std(axis=(0, 2, 3)) - 1.0) < 0.4)


def test_orthogonalise_evens_out_singular_values() -> None:
    from training.mini.optimiser import orthogonalise

    torch.manual_seed(0)
    for shape in ((24, 60), (60, 24)):
        values = torch.linalg.svdvals(orthogonalise(torch.randn(shape) * 3.0))
        assert values.min() > 0.5
        assert values.max() < 1.4


def test_optimiser_learns_and_resumes_exactly() -> None:
    from training.mini.optimiser import MuonAdamW

    def run(module: torch.nn.Module, optimiser: MuonAdamW, steps: int) -> None:
        for _ in range(steps):
            torch.manual_seed(optimiser.step_number)
            x = torch.randn(32, 20)
            (module(x) - x.flip(1)).square().mean().backward()
            optimiser.step()

    def fresh() -> tuple[torch.nn.Module, MuonAdamW]:
        torch.manual_seed(1)
        module = torch.nn.Linear(20, 20)
        return module, MuonAdamW(module, rate=1e-2, steps=60, warmup=3, floor=0.1)

    whole, optimiser = fresh()
    before = (whole(torch.eye(20)) - torch.eye(20).flip(1)).square().mean()
    run(whole, optimiser, 60)
    after = (whole(torch.eye(20)) - torch.eye(20).flip(1)).square().mean()
    assert after < 0.6 * before

    first, optimiser = fresh()
    run(first, optimiser, 25)
    second, other = fresh()
    second.load_state_dict(first.state_dict())
    other.load_state_dict(optimiser.state_dict())
    run(second, other, 35)
    assert torch.equal(whole.weight, second.weight)


@pytest.mark.filterwarnings("default")  # warnings of transformers on import are its own
def test_tokenizer_knows_every_word_and_every_byte() -> None:
    pytest.importorskip("transformers")
    from training.mini.text import MAX_TOKENS, build_tokenizer, tokenise

    tokenizer = build_tokenizer()
    for word in (*COLOURS, *SHAPES, "left", "right", "above", "below", "background", "three", "grey", "gray"):
        assert len(tokenizer(word).input_ids) == 3, word  # start, the word, end
    for text in ("Zwölf Boxkämpfer", "漢字", "\N{GRINNING FACE} ok"):
        ids = tokenizer(text).input_ids
        assert tokenizer.unk_token_id not in ids[1:-1]
    assert tokenise(tokenizer, ["a red circle", ""]).shape == (2, MAX_TOKENS)


def test_wilson_interval() -> None:
    pytest.importorskip("cv2")
    from training.mini.evaluate import heldout_prompts, wilson

    low, high = wilson(180, 200)
    assert (round(low, 3), round(high, 3)) == (0.851, 0.934)  # Wilson 1927; R binom::binom.wilson(180, 200)
    scenes = [scene for scene, _ in heldout_prompts(200)]
    assert len(scenes) == 200
    assert all(scene.heldout for scene in scenes)
