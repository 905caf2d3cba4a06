"""What was learnt while signet-mini was made; the model card and the docs page print it as it stands here.

Data flow: constants -> ``card``. Every figure names how it was measured.
"""

from __future__ import annotations

from typing import Final

DECISIONS: Final = (
    "Latents of 4 channels: `StableDiffusionInpaintPipeline` refuses a UNet with any other number but 4 or 9.",
    "Latents by definition (mean colour and variation of each 8x8 cell), not learnt: an end-to-end autoencoder of the "
    "same size kept the colours of 39 of 60 scenes after 1,300 steps, this one of 50 of 50 after 1,500 steps "
    "(reconstructions judged by `measure.py`).",
    "Text tower first, alone, on predicting what lies in which cell: after 1,700 steps a probe reads 294 of 300 "
    "held-out pairs rightly from its states. With it fixed, the UNet placed two objects and their background after "
    "325 steps.",
    "Muon for inner matrices: after 140 autoencoder steps 18.0 dB against 13.7 dB with AdamW (same batches, one thread "
    "each).",
    "One process per core instead of two threads: a threaded step of 0.5 s took 1.7 s beside one other busy process.",
    "bfloat16 autocast for the UNet (0.84 against 1.10 CPU seconds for 16 latents); `torch.compile` gained nothing "
    "(0.79).",
    "`DDIMScheduler`: over 40 held-out prompts of another seed it and `DPMSolverMultistepScheduler` followed equally "
    "(31 of 40 at 1,968 steps), and it emits no warning under current torch and NumPy.",
    "Guidance 2: over 60 prompts at 1,770 steps 49 followed, with guidance 4 only 44; these 60 are "
    "among the 200 reported (at an earlier checkpoint), the other settings were compared on prompts of another seed.",
    "Measurement before model: `measure.py` was right on 1,254 of 1,254 drawn scenes before it judged a sample.",
)

LIMITS: Final = (
    "It knows the words of its captions and no others; two objects at most may differ.",
    "Backgrounds are plain; relations are left, right, above and below.",
    "Most of the 18 misses are squares whose sides bow a little (the measurement is strict) and small crosses.",
    "Edges are a little soft and large circles not quite round; small objects lose their shape first.",
    "Landscapes: sky, sun, moon and terrain are right, but houses, boats and cacti are blurred or doubled.",
    "Stripes may change their direction within one picture; thin checkerboards fray at a border.",
    "Text longer than 40 tokens is cut.",
)
