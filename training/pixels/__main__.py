"""``python -m training.pixels JOB``: the jobs that make ``detectors/models``, each resumable, in this order.

crops     decode the training pictures once and cut crops with random histories
vectors   measure every crop (repeat with other --seed values for more variants)
pairs     train decoders, redraw training photographs with them, measure the copies (for fit --pairs)
judge     measure calibration and test pictures in one mode of the protocol
fit       train both models, calibrate them together, write models, cards and digests
"""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from pathlib import Path

from detectors.evaluation.degradations import Mode
from training.pixels.crops import of_part, plan, write_crops
from training.pixels.decoders import decoders
from training.pixels.fit import fit_models, write_models
from training.pixels.judging import at_most, write_judged
from training.pixels.pairs import write_pairs
from training.pixels.pictures import Part, read_pictures
from training.pixels.texture import export_texture
from training.pixels.vectors import write_vectors

MODELS = Path(__file__).resolve().parents[2] / "detectors" / "models"


def main() -> None:
    """Run one job."""
    parser = argparse.ArgumentParser(prog="python -m training.pixels", description=__doc__)
    parser.add_argument("job", choices=("crops", "vectors", "pairs", "judge", "fit"))
    parser.add_argument("--manifest", type=Path, action="append", required=True, help="JSON lines, see pictures.py")
    parser.add_argument("--work", type=Path, required=True, help="folder for crops and features, about 5 GB")
    parser.add_argument("--trunk", type=Path, required=True, help="efficientnet-lite0-57934424.pth")
    parser.add_argument("--out", type=Path, default=MODELS, help="folder for models and cards")
    parser.add_argument("--mode", type=Mode, default=Mode.HISTORY, help="judge: treatment")
    parser.add_argument("--per-group", type=int, default=50, help="judge: most pictures a source")
    parser.add_argument("--seed", type=int, default=1, help="vectors: which random variants")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--pairs", action="store_true", help="fit: with aligned pairs (the models in the box: without)")
    given = parser.parse_args()
    pictures = read_pictures(given.manifest)
    texture = given.work / "texture.onnx"
    given.work.mkdir(parents=True, exist_ok=True)
    if given.job in ("vectors", "pairs", "judge") and not texture.exists():
        export_texture(given.trunk, texture)
    if given.job == "crops":
        jobs = plan(of_part(pictures, Part.TRAIN), per_group=600, most=10)
        print(write_crops(jobs, given.work, processes=given.processes), "crops")
    elif given.job == "vectors":
        write_vectors(given.work, texture, seed=given.seed, processes=given.processes)
    elif given.job == "pairs":
        write_vectors(
            write_pairs(given.work, decoders(given.work)), texture, seed=given.seed, processes=given.processes
        )
    elif given.job == "judge":
        chosen = at_most([p for p in pictures if p.part is not Part.TRAIN], given.per_group)
        target = given.work / f"judged-{given.mode}.npz"
        write_judged(chosen, given.mode, texture, target, processes=given.processes)
    else:
        judged = {mode.value: given.work / f"judged-{mode}.npz" for mode in Mode}
        found = {mode: path for mode, path in judged.items() if path.exists()}
        date = datetime.now(UTC).date().isoformat()
        models = fit_models(given.work, pairs=given.pairs)
        figures = write_models(models, pictures, found, given.trunk, given.out, date=date)
        for name, rows in zip(("statistical", "learned", "together"), figures, strict=True):
            for row in rows:
                print(name, row.model_dump_json())


if __name__ == "__main__":
    main()
