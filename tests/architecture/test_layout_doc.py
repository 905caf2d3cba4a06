"""docs/layout.md names every file, and only files that exist."""

from tests.architecture.layout_doc import DOCUMENT, renewed


def test_the_layout_document_is_current() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    assert renewed(text) == text, "run: python -m tests.architecture.layout_doc --write"
