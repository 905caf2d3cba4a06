"""A plain diffusers script with marks, credentials and a ledger: three lines more than without.

Needs ``pip install signet-gateway[generate]`` and, once, ``signet keys init``. Run it as
``python diffusers_script.py MODEL PROMPT OUT``; the marked lines are all that Signet adds.
"""

import sys

import torch
from diffusers import DiffusionPipeline

from guard import sign, verify  # Signet

model, prompt, out = sys.argv[1:]
pipeline = DiffusionPipeline.from_pretrained(model)
image = pipeline(prompt, num_inference_steps=4, generator=torch.manual_seed(7)).images[0]

sign(image, model=model).save(out)  # Signet, in place of image.save(out)
print(verify(out).state)  # Signet
