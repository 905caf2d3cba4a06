import pytest

from guard.prompt_check.names import name_shaped


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("a portrait of Erika Mustermann in a garden", ["Erika Mustermann"]),
        ("photo of Jan van der Beispiel at work", ["Jan van der Beispiel"]),
        ("a castle by Anna Example, oil on canvas", []),
        ("a harbour in the style of Anna Example at dusk", []),
        ("Art Nouveau poster with lilies and a fountain", []),
        ("A Calm Lake Under Grey Skies", []),
        ("a street in New York at night", []),
        ("no capitals here", []),
        ("", []),
    ],
)
def test_what_is_shaped_like_a_name(text: str, names: list[str]) -> None:
    assert [text[start:end] for start, end in name_shaped(text)] == names
