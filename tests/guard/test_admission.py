"""Every malformed request names its field and says what is expected."""

from dataclasses import replace

import numpy as np
import pytest

from guard.admission import MAX_COUNT, MAX_PROMPT_CHARS, check_form
from guard.errors import RequestError
from guard.records import GenerationRequest, Operation

GOOD = GenerationRequest(prompt="a red circle")
SOURCE = np.zeros((64, 64, 3), np.uint8)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"prompt": ""}, "prompt is empty"),
        ({"prompt": "x" * (MAX_PROMPT_CHARS + 1)}, "`prompt`"),
        ({"negative_prompt": "x" * 1_000_000}, "`negative_prompt`"),
        ({"count": 0}, "`count`"),
        ({"count": MAX_COUNT + 1}, "`count`"),
        ({"seed": -1}, "`seed`"),
        ({"seed": 2**63}, "`seed`"),
        ({"guidance": float("nan")}, "`guidance`"),
        ({"guidance": float("inf")}, "`guidance`"),
        ({"strength": 1.1}, "`strength`"),
        ({"steps": 0}, "`steps`"),
        ({"steps": 10_000}, "`steps`"),
        ({"model": "unknown"}, "not configured"),
        ({"tenant": "two words"}, "`tenant`"),
        ({"tenant": ""}, "`tenant`"),
        ({"operation": Operation.IMAGE_TO_IMAGE}, "source image"),
        ({"source_image": SOURCE}, "text-to-image"),
        ({"width": 31}, "`width` is 31"),
        ({"height": 16}, "`height` is 16"),
        ({"operation": Operation.IMAGE_TO_IMAGE, "source_image": SOURCE[:20]}, "`height` is 20"),
        ({"operation": Operation.INPAINTING, "source_image": SOURCE}, "mask"),
        (
            {"operation": Operation.INPAINTING, "source_image": SOURCE, "mask": np.zeros((32, 64), np.uint8)},
            "same width and height",
        ),
    ],
)
def test_malformed(change: dict, named: str) -> None:
    with pytest.raises(RequestError, match=named) as caught:
        check_form(replace(GOOD, **change), models=["signet-mini"], min_side=32)
    assert caught.value.diagnostics()


def test_good_requests_pass() -> None:
    check_form(GOOD, models=[], min_side=32)
    mask = np.zeros((64, 64), np.uint8)
    check_form(
        replace(GOOD, operation=Operation.INPAINTING, source_image=SOURCE, mask=mask, strength=1.0),
        models=[],
        min_side=32,
    )
