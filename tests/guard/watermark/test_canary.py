"""The canary passes with a healthy codec and notices a codec that misses or sees ghosts."""

from guard.records import RGB8, ImageID, MarkReading
from guard.watermark.canary import run_canary
from guard.watermark.codec import LatticeWatermarker
from tests.guard.watermark.pictures import KEY


class Broken:
    """Marks like the real codec; reads one fixed answer."""

    algorithm = "broken"

    def __init__(self, answer: ImageID | None) -> None:
        self._answer = answer

    def embed(self, pixels: RGB8, image_id: ImageID) -> RGB8:
        return pixels

    def detect(self, pixels: RGB8) -> MarkReading:
        return MarkReading(algorithm="broken", image_id=self._answer, log10_p=-9.5)


def test_a_healthy_codec_passes_every_check() -> None:
    checks = run_canary(LatticeWatermarker(KEY))
    assert len(checks) == 21
    assert [check.name for check in checks if not check.ok] == []


def test_a_codec_that_reads_nothing_fails_every_marked_check() -> None:
    failed = [check.name for check in run_canary(Broken(None)) if not check.ok]
    assert len(failed) == 18
    assert not any("unmarked" in name for name in failed)


def test_a_codec_that_sees_marks_everywhere_fails_the_unmarked_checks() -> None:
    checks = {check.name: check.ok for check in run_canary(Broken(ImageID("00112233445566ff")))}
    assert not checks["picture 0, unmarked"]
    assert checks["picture 0, JPEG 60"]
    assert not checks["picture 1, JPEG 60"]
