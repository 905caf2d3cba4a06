"""Runs the real flow in a loop until it is killed; started by test_crash.py, prints each released id."""

import secrets
import sys
from pathlib import Path

import numpy as np

from guard.assembly import build_core
from guard.interfaces import GenerationHooks
from guard.label.compositor import BadgeLabeller
from guard.pipeline import Gateway, released
from guard.records import ClearedPrompt, Generation, GenerationRequest
from guard.settings import load_settings
from guard.stages import Stages
from tests.fakes import PlainGenerator, ScriptedImageChecker, ScriptedPromptChecker, ThresholdPolicy


class WavesGenerator(PlainGenerator):
    """Pictures large and textured enough for the real mark."""

    def generate(self, prompt: ClearedPrompt, *, hooks: GenerationHooks) -> Generation:
        made = super().generate(prompt, hooks=hooks)
        y, x = np.mgrid[0:256, 0:256]
        images = tuple(
            np.stack([128 + 90 * np.sin((x * (1 + s % 5) + y * c) / 29.0) for c in (1, 2, 3)], axis=2).astype(np.uint8)
            for s in made.seeds
        )
        return Generation(images=images, seeds=made.seeds, model=made.model, steps=1, guidance=1.0, scheduler="none")


def main() -> None:
    core = build_core(load_settings(home=Path(sys.argv[1])))
    core.recover()
    gateway = Gateway(
        Stages(
            prompt_checkers=[ScriptedPromptChecker()],
            image_checkers=[ScriptedImageChecker()],
            policy=ThresholdPolicy(id="generation.test"),
            generators={"waves": WavesGenerator()},
            default_model="waves",
            labeller=BadgeLabeller(),
            watermarker=core.watermarker,
            signer=core.signer,
            reader=core.reader,
            ledger=core.ledger,
            images=core.images,
            clock=core.clock,
        ),
        random_bytes=secrets.token_bytes,
    )
    print("ready", flush=True)
    while True:
        for image in released(gateway.generate(GenerationRequest(prompt="waves", count=2))):
            print(image.image_id, flush=True)


if __name__ == "__main__":
    main()
