"""A small calibration card for tests."""

from functools import cache

from detectors.calibration.card import CalibrationCard, Dataset, Domain, Mapping, Source


def dataset(group: str) -> Dataset:
    sources = (
        Source(group=f"{group}-real", licence="CC0-1.0", generated=False, pictures=20),
        Source(group=f"{group}-made", licence="CC0-1.0", generated=True, pictures=20),
    )
    return Dataset(digest="a" * 64, real=20, generated=20, sources=sources)


@cache
def card(model_sha256: str = "0" * 64) -> CalibrationCard:
    return CalibrationCard(
        version=1,
        detector="test",
        model_sha256=model_sha256,
        date="2026-11-22",
        domain=Domain(min_side_px=160, min_jpeg_quality=40, min_texture=0.5),
        mapping=Mapping(slope=1.5, offset=-0.5, lowest=-3.0, highest=3.0),
        false_positive_rates={"0.0": 0.3, "1.0": 0.05, "2.0": 0.01},
        training=dataset("train"),
        calibration=dataset("calibration"),
        test=dataset("test"),
        measured=(),
    )
