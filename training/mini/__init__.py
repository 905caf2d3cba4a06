"""signet-mini: a small text-conditioned latent diffusion model, and the jobs that make it.

Data flow: vocabulary -> scenes -> captions + drawing -> vae, text -> latents -> unet -> export -> evaluate, sheet.
Run a job with ``python -m training.mini <job> --help``.
"""
