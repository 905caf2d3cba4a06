"""Bodies become requests; uploaded pictures are decoded where the caller says, never here."""

import base64

import numpy as np
import pytest

from gateway.wire import GenerateBody
from guard.errors import DeadlineError, RequestError
from guard.media import encode
from guard.picture_file import PictureFile, open_picture
from guard.records import ImageFormat, Operation

SOURCE = encode(np.full((64, 64, 3), 50, np.uint8), ImageFormat.PNG)
MASK = encode(np.full((64, 64, 3), 255, np.uint8), ImageFormat.PNG)


def body(**fields) -> GenerateBody:
    return GenerateBody(prompt="a star", **fields)


def test_source_and_mask_go_through_the_given_decoder() -> None:
    seen: list[bytes] = []

    def decoder(data: bytes) -> PictureFile:
        seen.append(data)
        return open_picture(data)

    pictures = {"source_image": base64.b64encode(SOURCE), "mask": base64.b64encode(MASK)}
    request = body(operation=Operation.INPAINTING, **pictures).to_request(tenant="t", decoder=decoder)
    assert seen == [SOURCE, MASK]
    assert (request.source_image.shape, request.mask.shape, request.tenant) == ((64, 64, 3), (64, 64), "t")
    assert request.source_bytes == SOURCE


def test_a_decoder_that_gives_up_stops_the_request() -> None:
    def decoder(_: bytes) -> PictureFile:
        raise DeadlineError("The decoder ran past its deadline.")

    with pytest.raises(DeadlineError):
        body(operation=Operation.IMAGE_TO_IMAGE, source_image=base64.b64encode(b"anything")).to_request(
            tenant="t", decoder=decoder
        )


def test_what_is_not_base64_is_named() -> None:
    with pytest.raises(RequestError, match="`source_image` is not base64"):
        body(operation=Operation.IMAGE_TO_IMAGE, source_image="not base64!").to_request(
            tenant="t", decoder=open_picture
        )


def test_pictures_that_the_operation_does_not_take_are_refused_undecoded() -> None:
    def decoder(_: bytes) -> PictureFile:
        raise AssertionError("decoded")

    with pytest.raises(RequestError, match="text-to-image"):
        body(source_image=base64.b64encode(SOURCE)).to_request(tenant="t", decoder=decoder)
