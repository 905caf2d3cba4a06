"""Train the tokenizer and the text tower of signet-mini, alone, on reading scenes out of captions.

Data flow: captions -> byte-level BPE in which nearly every caption word is one token -> ``CLIPTextModel``
-> ``LayoutProbe`` (grid queries that attend to the token states, as the UNet does) -> what lies in which cell.
The probe is thrown away; the tower goes to the UNet with the binding of colours, shapes and places in its states.
"""

from __future__ import annotations

import json
import string
import time
from typing import TYPE_CHECKING, Final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from training.mini.captions import caption
from training.mini.optimiser import MuonAdamW
from training.mini.scenes import Scene, scene_at
from training.mini.store import CACHE, CHECKPOINT_EVERY_S, SEED, load_checkpoint, prepare_torch, save_checkpoint
from training.mini.vocabulary import BACKGROUNDS, COLOURS, EXTRAS, IMAGE_SIZE_PX, SHAPES, TERRAINS, TEXTURES, TIMES

if TYPE_CHECKING:
    from transformers import CLIPTextModel, CLIPTokenizer

WIDTH: Final = 128
MAX_TOKENS: Final = 40
GRID: Final = 8
IGNORE: Final = -100
BATCH: Final = 64

CELL_COLOURS: Final = [*COLOURS, *("ground " + name for name in BACKGROUNDS)]
CELL_SHAPES: Final = ["none", *SHAPES]
PLACES: Final = ["none", *TERRAINS, *TEXTURES]
EXTRA_NAMES: Final = sorted({name for names in EXTRAS.values() for name in names})
GLOBAL_HEADS: Final[dict[str, int]] = {
    "place": len(PLACES),
    "time": len(TIMES),
    "extra": len(EXTRA_NAMES),
    "first": len(COLOURS),
    "second": len(COLOURS),
    "wide": 2,
}


def build_tokenizer() -> CLIPTokenizer:
    """Return the tokenizer: all bytes, and merges learnt from captions, so that no word is unknown."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers
    from transformers import CLIPTokenizer

    words = sorted(
        {w for i in range(6000) for w in caption(scene_at(SEED, i), np.random.default_rng([SEED, i])).split()}
    )
    words = sorted({w.strip(",") for w in words} - set(string.digits))
    learner = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    learner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    trainer = trainers.BpeTrainer(vocab_size=5000, min_frequency=0, end_of_word_suffix="</w>", show_progress=False)
    learner.train_from_iterator(sorted(" ".join(words).split("-")), trainer)
    model = json.loads(learner.to_str())["model"]
    merges = [tuple(m) if isinstance(m, list) else tuple(m.split(" ")) for m in model["merges"]]
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    symbols = [*alphabet, *(letter + "</w>" for letter in alphabet), *("".join(m) for m in merges)]
    symbols = list(dict.fromkeys(symbols))
    vocabulary = {symbol: index for index, symbol in enumerate([*symbols, "<|startoftext|>", "<|endoftext|>"])}
    return CLIPTokenizer(vocab=vocabulary, merges=merges, model_max_length=MAX_TOKENS)


def build_text_model(tokenizer: CLIPTokenizer) -> CLIPTextModel:
    """Return the untrained text tower (three causal layers of width 128)."""
    from transformers import CLIPTextConfig, CLIPTextModel

    config = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=WIDTH,
        intermediate_size=4 * WIDTH,
        projection_dim=WIDTH,
        num_hidden_layers=3,
        num_attention_heads=4,
        max_position_embeddings=MAX_TOKENS,
        hidden_act="gelu",
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return CLIPTextModel(config)


def tokenise(tokenizer: CLIPTokenizer, captions: list[str]) -> Tensor:
    """Return (N, 40) int64 token ids, padded exactly as the diffusers pipeline pads them."""
    batch = tokenizer(captions, padding="max_length", max_length=MAX_TOKENS, truncation=True, return_tensors="pt")
    ids: Tensor = batch.input_ids
    return ids


class LayoutProbe(nn.Module):
    """Learned grid queries that read the token states and say what lies in each cell."""

    def __init__(self) -> None:
        """Make GRID*GRID cell queries and one global query."""
        super().__init__()
        self.queries = nn.Parameter(torch.randn(GRID * GRID + 1, WIDTH) * 0.5)
        self.attention = nn.MultiheadAttention(WIDTH, 4, batch_first=True)
        self.norm = nn.LayerNorm(WIDTH)
        self.mlp = nn.Sequential(nn.Linear(WIDTH, 2 * WIDTH), nn.GELU(), nn.Linear(2 * WIDTH, WIDTH))
        self.colour = nn.Linear(WIDTH, len(CELL_COLOURS))
        self.shape = nn.Linear(WIDTH, len(CELL_SHAPES))
        self.heads = nn.ModuleDict({name: nn.Linear(WIDTH, size) for name, size in GLOBAL_HEADS.items()})

    def forward(self, states: Tensor) -> dict[str, Tensor]:
        """Return logits by head for (N, 40, 128) states; cell heads are (N, 64, classes)."""
        queries = self.queries.expand(states.shape[0], -1, -1)
        read = queries + self.attention(queries, states, states, need_weights=False)[0]
        read = read + self.mlp(self.norm(read))
        logits = {name: head(read[:, -1]) for name, head in self.heads.items()}
        return {"colour": self.colour(read[:, :-1]), "shape": self.shape(read[:, :-1]), **logits}


def layout_targets(scene: Scene) -> dict[str, np.ndarray]:
    """Return class numbers by head for one scene; cells of landscapes and textures are ignored."""
    colour = np.full((GRID, GRID), IGNORE, np.int64)
    shape = np.full((GRID, GRID), IGNORE, np.int64)
    values = dict.fromkeys(GLOBAL_HEADS, IGNORE)
    values["place"] = PLACES.index(scene.place) if scene.kind in ("landscape", "texture") else 0
    if scene.items:
        colour[:] = CELL_COLOURS.index("ground " + scene.background)
        shape[:] = 0
        centres = (np.arange(GRID) + 0.5) * IMAGE_SIZE_PX / GRID
        for item in scene.items:
            reach = 0.85 * item.radius_px
            cells = (np.abs(centres[:, None] - item.y) < reach) & (np.abs(centres[None] - item.x) < reach)
            colour[cells] = CELL_COLOURS.index(item.colour)
            shape[cells] = CELL_SHAPES.index(item.shape)
    elif scene.kind == "landscape":
        values["time"], values["extra"] = TIMES.index(scene.time), EXTRA_NAMES.index(scene.extra)
    else:
        values["first"], values["second"] = (list(COLOURS).index(name) for name in scene.colours)
        values["wide"] = IGNORE if scene.place == "gradient" else scene.detail_seed % 2
    heads = {name: np.asarray(value) for name, value in values.items()}
    return {"colour": colour.reshape(-1), "shape": shape.reshape(-1), **heads}


def disturb(text: str, rng: np.random.Generator) -> str:
    """Return ``text``, in a quarter of cases with words of random letters or a stop around it, to be ignored."""
    if rng.random() < 0.75:
        return text
    letters = list(string.ascii_lowercase)
    words = ["".join(rng.choice(letters, int(rng.integers(2, 8)))) for _ in range(int(rng.integers(0, 4)))]
    cut = int(rng.integers(len(words) + 1))
    return " ".join([*words[:cut], text, *words[cut:]]) + ("." if rng.random() < 0.5 else "")


def _batch(seed: int, step: int) -> tuple[list[str], dict[str, Tensor]]:
    rng = np.random.default_rng([seed, step, 11])
    scenes = [scene_at(seed, int(rng.integers(1 << 40))) for _ in range(BATCH)]
    targets = [layout_targets(scene) for scene in scenes]
    stacked = {name: torch.from_numpy(np.stack([t[name] for t in targets])) for name in targets[0]}
    return [disturb(caption(scene, rng), rng) for scene in scenes], stacked


def probe_loss(logits: dict[str, Tensor], targets: dict[str, Tensor]) -> tuple[Tensor, float]:
    """Return the summed cross-entropy over all heads, and the share of object cells read rightly."""
    losses = []
    for name, target in targets.items():
        if bool((target != IGNORE).any()):
            flat = logits[name].reshape(-1, logits[name].shape[-1])
            losses.append(functional.cross_entropy(flat, target.reshape(-1), ignore_index=IGNORE))
    cells = targets["shape"] > 0
    right = (logits["shape"].argmax(-1) == targets["shape"]) & (logits["colour"].argmax(-1) == targets["colour"])
    return torch.stack(losses).sum(), float(right[cells].float().mean())


def train(*, steps: int, rate: float) -> None:
    """Train tokenizer and tower, or go on training, until ``steps`` steps of 64 captions are done."""
    prepare_torch(SEED)
    tokenizer = build_tokenizer()
    tokenizer.save_pretrained(CACHE / "tokenizer")
    both = nn.ModuleDict({"tower": build_text_model(tokenizer), "probe": LayoutProbe()})
    optimiser = MuonAdamW(both, rate=rate, steps=steps, warmup=100, floor=0.02)
    state = load_checkpoint("text")
    seconds = 0.0
    if state is not None:
        both.load_state_dict(state["model"])
        optimiser.load_state_dict(state["optimiser"])
        seconds = state["seconds"]
    began = saved = time.monotonic()
    while optimiser.step_number < steps:
        step = optimiser.step_number
        captions, targets = _batch(SEED, step)
        loss, right = probe_loss(both["probe"](both["tower"](tokenise(tokenizer, captions)).last_hidden_state), targets)
        loss.backward()
        optimiser.step()
        now = time.monotonic()
        if step % 50 == 0:
            print(
                f"text step {step}/{steps} loss {float(loss):.3f} cells {right:.3f} {seconds + now - began:.0f} s",
                flush=True,
            )
        if now - saved > CHECKPOINT_EVERY_S or optimiser.step_number == steps:
            saved = now
            state = {"model": both.state_dict(), "optimiser": optimiser.state_dict(), "step": optimiser.step_number}
            save_checkpoint("text", {**state, "seconds": seconds + now - began})


def load_text() -> tuple[CLIPTokenizer, CLIPTextModel]:
    """Return the tokenizer and the trained tower in evaluation mode."""
    state = load_checkpoint("text")
    if state is None:
        raise SystemExit("no checkpoint 'text' in .cache/mini; run `python -m training.mini text` first")
    tokenizer = build_tokenizer()
    tower = build_text_model(tokenizer)
    tower.load_state_dict({k.removeprefix("tower."): v for k, v in state["model"].items() if k.startswith("tower.")})
    return tokenizer, tower.eval()
