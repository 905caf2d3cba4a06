"""Lines of prompt files: nothing that steers a picture is dropped in silence, and no line ends the run."""

from __future__ import annotations

import pytest

from gateway.cli.prompt_rows import prompt_row
from guard.errors import RequestError


def test_both_names_of_the_negative_prompt_are_read() -> None:
    assert prompt_row(b'{"text": "a", "negative": "rain"}', where="x").negative == "rain"
    assert prompt_row(b'{"text": "a", "negative_prompt": "rain", "negative": null}', where="x").negative == "rain"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b'{"text": "a", "negative": "rain", "negative_prompt": "clothes"}', "both"),
        (b'{"text": "a", "x": ' + b"[" * 200_000, "not JSON"),
        (b'{"text": "a", "guidance": "seven"}', "number in `guidance`: guidance"),
        (b"\xff", "not JSON"),
    ],
)
def test_a_line_that_cannot_be_used_is_an_error_that_names_it(line: bytes, said: str) -> None:
    with pytest.raises(RequestError, match="Line 7") as caught:
        prompt_row(line, where="Line 7")
    assert said in str(caught.value)
