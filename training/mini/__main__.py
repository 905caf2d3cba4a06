"""Command line of signet-mini's making: ``python -m training.mini <job>``.

Data flow: arguments -> one job; ``all`` runs every job in order and skips what is already done.
Every job resumes from ``.cache/mini``; a killed run loses two minutes at most.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

import numpy as np

VAE_STEPS: Final = 1500
VAE_RATE: Final = 3e-3
TEXT_STEPS: Final = 1700
TEXT_RATE: Final = 2e-3
LATENTS: Final = 16_000
UNET_STEPS: Final = 8000
UNET_RATE: Final = 2e-3
UNET_BATCH: Final = 32


def _scenes(options: argparse.Namespace) -> None:
    from training.mini.captions import caption
    from training.mini.drawing import draw
    from training.mini.evaluate import contact_sheet
    from training.mini.scenes import scene_at
    from training.mini.store import SEED

    scenes = [scene_at(SEED, index, split=options.split) for index in range(options.count)]
    for index, scene in enumerate(scenes):
        print(f"{index:3d} {scene.kind:9s} {caption(scene, np.random.default_rng([SEED, index]))}")
    contact_sheet(np.stack([draw(scene) for scene in scenes]), 8).save(options.out)


def _vae(options: argparse.Namespace) -> None:
    from training.mini.vae import train

    train(steps=options.steps or VAE_STEPS, rate=VAE_RATE, whole_from=0.75)


def _text(options: argparse.Namespace) -> None:
    from training.mini.text import train

    train(steps=options.steps or TEXT_STEPS, rate=TEXT_RATE)


def _latents(options: argparse.Namespace) -> None:
    from training.mini.latents import compute

    compute(count=options.count)


def _unet(options: argparse.Namespace) -> None:
    from training.mini.unet import train

    train(steps=options.steps or UNET_STEPS, rate=UNET_RATE, batch=UNET_BATCH)


def _export(_: argparse.Namespace) -> None:
    from training.mini.export import export

    export()


def _evaluate(options: argparse.Namespace) -> None:
    from training.mini.evaluate import evaluate, print_rates, write_report
    from training.mini.export import build_pipeline, load_pipeline

    pipeline = build_pipeline() if options.checkpoint else load_pipeline()
    pipeline.set_progress_bar_config(disable=True)
    report = evaluate(
        pipeline, count=options.count, steps=options.steps, guidance=options.guidance, failures=options.failures
    )
    print_rates(report)
    if not options.checkpoint:
        write_report(report)


def _sheet(options: argparse.Namespace) -> None:
    from training.mini.export import build_pipeline, load_pipeline
    from training.mini.sheet import draw_sheet

    pipeline = build_pipeline() if options.checkpoint else load_pipeline()
    pipeline.set_progress_bar_config(disable=True)
    draw_sheet(pipeline, options.out) if options.out else draw_sheet(pipeline)


def _card(_: argparse.Namespace) -> None:
    from training.mini.card import write_card

    write_card()


def _all(_: argparse.Namespace) -> None:
    parser = build_parser()
    jobs = ("vae", "text", "latents", "unet", "export", "evaluate", "sheet", "card")
    for job in jobs:
        print(f"--- {job}", flush=True)
        options = parser.parse_args(job.split())
        options.run(options)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of all jobs."""
    parser = argparse.ArgumentParser(prog="python -m training.mini", description="Make signet-mini, job by job.")
    jobs = parser.add_subparsers(required=True, metavar="JOB")
    scenes = jobs.add_parser("scenes", help="draw some scenes and print their captions")
    scenes.add_argument("--count", type=int, default=40, help="number of scenes (default 40)")
    scenes.add_argument("--split", choices=("train", "heldout"), default="train", help="default: train")
    scenes.add_argument("--out", type=Path, default=Path("scenes.png"), help="sheet to write (default scenes.png)")
    scenes.set_defaults(run=_scenes)
    vae = jobs.add_parser("vae", help="train the autoencoder")
    vae.add_argument("--steps", type=int, help=f"total steps (default {VAE_STEPS})")
    vae.set_defaults(run=_vae)
    text = jobs.add_parser("text", help="train tokenizer and text tower")
    text.add_argument("--steps", type=int, help=f"total steps (default {TEXT_STEPS})")
    text.set_defaults(run=_text)
    latents = jobs.add_parser("latents", help="compute latents and token ids")
    latents.add_argument("--count", type=int, default=LATENTS, help=f"scenes (default {LATENTS})")
    latents.set_defaults(run=_latents)
    unet = jobs.add_parser("unet", help="train the UNet")
    unet.add_argument("--steps", type=int, help=f"total steps (default {UNET_STEPS})")
    unet.set_defaults(run=_unet)
    jobs.add_parser("export", help="write the diffusers folder and its digests").set_defaults(run=_export)
    evaluate = jobs.add_parser("evaluate", help="measure held-out prompts")
    evaluate.add_argument("--count", type=int, default=200, help="prompts (default 200)")
    evaluate.add_argument("--steps", type=int, default=20, help="sampling steps (default 20)")
    evaluate.add_argument("--guidance", type=float, default=2.0, help="guidance scale (default 2)")
    evaluate.add_argument("--failures", type=Path, help="sheet of the pictures that do not follow")
    evaluate.add_argument("--checkpoint", action="store_true", help="measure the checkpoint, write no report")
    evaluate.set_defaults(run=_evaluate)
    sheet = jobs.add_parser("sheet", help="draw the contact sheet")
    sheet.add_argument("--checkpoint", action="store_true", help="draw with the checkpoint, not with the export")
    sheet.add_argument("--out", type=Path, help="file to write (default docs/signet-mini-sheet.png)")
    sheet.set_defaults(run=_sheet)
    jobs.add_parser("card", help="write model card and docs page from the report").set_defaults(run=_card)
    jobs.add_parser("all", help="run every job in order; resumes").set_defaults(run=_all)
    return parser


def main() -> None:
    """Run the job that the command line names."""
    options = build_parser().parse_args()
    options.run(options)


if __name__ == "__main__":
    main()
