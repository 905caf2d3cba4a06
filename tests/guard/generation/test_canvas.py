"""Sizes, padding, windows and compositing, as properties."""

import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from guard.errors import GenerationError, RequestError
from guard.generation.canvas import Canvas, Limits, image_canvas, inpainting_canvas, text_canvas
from tests.guard.generation.requests import picture, rectangle_mask

LIMITS = Limits(multiple=16, max_side=128, native=(64, 48))
SIDES = st.integers(1, 300)


def test_missing_sides_are_the_native_ones() -> None:
    canvas = text_canvas(None, None, LIMITS)
    assert (canvas.width, canvas.height) == (64, 48)
    canvas = text_canvas(96, None, LIMITS)
    assert (canvas.width, canvas.height) == (96, 48)


@given(side=st.integers(-64, 400))
def test_exactly_the_multiples_within_the_limit_are_accepted(side: int) -> None:
    if 16 <= side <= 128 and side % 16 == 0:
        assert text_canvas(side, None, LIMITS).width == side
    else:
        with pytest.raises(RequestError, match=f"width is {side}"):
            text_canvas(side, None, LIMITS)


@pytest.mark.parametrize(
    ("side", "advice"),
    [(17, "Use 16 or 32."), (1, "Use 16."), (0, "Use 16."), (-3, "Use 16."), (127, "Use 112 or 128.")],
)
def test_the_nearest_sizes_are_named(side: int, advice: str) -> None:
    with pytest.raises(RequestError, match="multiple of 16 pixels") as caught:
        text_canvas(None, side, LIMITS)
    assert caught.value.diagnostics() == advice


def test_text_to_image_has_no_pictures() -> None:
    canvas = text_canvas(64, 64, LIMITS)
    with pytest.raises(GenerationError):
        canvas.model_image()
    with pytest.raises(GenerationError):
        canvas.model_mask()


@given(height=SIDES, width=SIDES)
@settings(max_examples=50, deadline=None)
def test_image_to_image_keeps_the_size_up_to_the_limit(height: int, width: int) -> None:
    canvas = image_canvas(picture(height, width), None, None, LIMITS)
    assert canvas.width % 16 == canvas.height % 16 == 0
    assert max(canvas.width, canvas.height) <= 128
    out = canvas.finish(np.asarray(canvas.model_image()))
    if max(height, width) <= 128:
        np.testing.assert_array_equal(out, picture(height, width))
    else:
        scale = 128 / max(height, width)
        assert max(out.shape[:2]) == 128
        # two roundings to whole pixels: down to the limit, and to the crop
        np.testing.assert_allclose(out.shape[:2], (max(1, height * scale), max(1, width * scale)), atol=1.0)


def test_image_to_image_scales_and_crops_to_the_size_asked_for() -> None:
    canvas = image_canvas(picture(40, 80), 64, 64, LIMITS)
    assert canvas.model_image().size == (64, 64)
    assert canvas.finish(np.asarray(canvas.model_image())).shape == (64, 64, 3)
    expected = picture(40, 80)[:, 20:60].mean(axis=(0, 1))
    np.testing.assert_allclose(np.asarray(canvas.model_image()).mean(axis=(0, 1)), expected, atol=3)


@pytest.mark.parametrize("size", [(64, None), (None, 64)])
def test_image_to_image_with_half_a_size_is_refused(size: tuple[int | None, int | None]) -> None:
    with pytest.raises(RequestError, match="both width and height, or neither"):
        image_canvas(picture(), *size, LIMITS)


def inpainted(source: np.ndarray, mask: np.ndarray, limits: Limits = LIMITS) -> tuple[Canvas, np.ndarray]:
    """Canvas, and the result for a model that answers with the inverse of the source."""
    canvas = inpainting_canvas(source, mask, None, None, limits)
    return canvas, canvas.finish(255 - np.asarray(canvas.model_image()))


@given(
    mask=hnp.arrays(np.uint8, st.tuples(st.integers(1, 60), st.integers(1, 60)), elements=st.integers(0, 255)).filter(
        lambda m: bool((m >= 128).any())
    )
)
@settings(max_examples=80, deadline=None)
def test_inpainting_mixes_by_the_mask_and_keeps_the_rest_exactly(mask: np.ndarray) -> None:
    source = picture(*mask.shape)
    canvas, out = inpainted(source, mask)
    assert (canvas.width % 16, canvas.height % 16) == (0, 0)
    np.testing.assert_array_equal(out[mask == 0], source[mask == 0])
    np.testing.assert_array_equal(out[mask == 255], 255 - source[mask == 255])
    weight = mask[..., None] / 255
    np.testing.assert_allclose(out, source * (1 - weight) + (255.0 - source) * weight, atol=0.51)


@given(top=st.integers(0, 279), left=st.integers(0, 379), height=st.integers(1, 60), width=st.integers(1, 100))
@settings(max_examples=50, deadline=None)
def test_a_large_picture_is_repainted_through_a_window_around_the_mask(
    top: int, left: int, height: int, width: int
) -> None:
    source, mask = picture(300, 400), np.zeros((300, 400), np.uint8)
    mask[top : top + height, left : left + width] = 255
    canvas, out = inpainted(source, mask)
    assert (canvas.width, canvas.height) == (128, 128)
    np.testing.assert_array_equal(out, np.where(mask[..., None] > 0, 255 - source, source))


def test_the_source_is_not_changed() -> None:
    source = picture()
    inpainted(source, rectangle_mask())
    np.testing.assert_array_equal(source, picture())


@pytest.mark.parametrize(
    ("mask", "size", "message"),
    [
        (np.full((10, 10), 255, np.uint8), (None, None), r"mask has the shape \(10, 10\); expected \(200, 300\)"),
        (np.full((200, 300), 127, np.uint8), (None, None), "repaints nothing"),
        (np.full((200, 300), 255, np.uint8), (None, None), "masked area is 300 pixels wide; .* at most 128"),
        (np.eye(200, 300, dtype=np.uint8) * 255, (64, 64), "keeps the size of the picture, 300 x 200"),
    ],
)
def test_impossible_inpainting_is_refused(mask: np.ndarray, size: tuple[int | None, int | None], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        inpainting_canvas(picture(200, 300), mask, *size, LIMITS)


def test_the_size_of_the_picture_may_be_repeated() -> None:
    assert inpainting_canvas(picture(), rectangle_mask(), 45, 37, LIMITS).crop == (45, 37)
