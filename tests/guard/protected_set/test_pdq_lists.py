"""Hash lists that others share are read; what is no hash is named by its line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.errors import RequestError
from guard.protected_set.entry import ProtectedEntry
from guard.protected_set.pdq_lists import read_pdq_list, write_pdq_list

HASH = "0f" * 32


@pytest.mark.parametrize(
    ("line", "label"),
    [
        (HASH, ""),
        (HASH.upper(), ""),
        (f"{HASH},88", ""),
        (f"{HASH},100,folder/a, b.jpg", "folder/a, b.jpg"),
        (f"pdq {HASH}", ""),
        (f"pdq,{HASH}", ""),
    ],
)
def test_the_formats_that_others_write(line: str, label: str) -> None:
    (found,) = read_pdq_list([line])
    assert (found.pdq, found.label) == (HASH, label)


def test_comments_headers_and_empty_lines_are_skipped() -> None:
    assert len(list(read_pdq_list(["\ufeffhash,quality,label", "", "# removed in March", f"{HASH},90,x"]))) == 1


def test_hashes_of_plain_pictures_are_left_out() -> None:
    assert list(read_pdq_list([f"{HASH},49,plain"])) == []


@pytest.mark.parametrize("line", ["zz" * 32, "0f" * 31, "0f" * 33, f"{HASH};90", "d41d8cd98f00b204e9800998ecf8427e"])
def test_another_line_is_named(line: str) -> None:
    with pytest.raises(RequestError, match="Line 2"):
        list(read_pdq_list([HASH, line]))


@given(st.lists(st.tuples(st.binary(min_size=32, max_size=32), st.integers(50, 100), st.text(max_size=40))))
def test_what_is_written_is_read_again(rows) -> None:
    entries = [
        ProtectedEntry(
            list_name="l", label=label, category="shocking", severity=7, hard=True, pdq=pdq.hex(), quality=quality
        )
        for pdq, quality, label in rows
    ]
    again = list(read_pdq_list(write_pdq_list(entries)))
    assert [(r.pdq, r.quality) for r in again] == [(e.pdq, e.quality) for e in entries]
    assert [r.label for r in again] == [" ".join(e.label.split()) for e in entries]
