"""Words of other languages read as English ones."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.errors import WeightsError
from guard.prompt_check.glosses import LANGUAGES, Glosses, read_glosses
from guard.prompt_check.normalise import canonical

HEAD = "@en the,of,a,on\n@de der,die,und\n@fr le,la\n@es el,la\n@it il,la\n@pt o,a\n"


@pytest.fixture(scope="module")
def glosses() -> Glosses:
    return read_glosses()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nackte Frau auf einem Bett, blutüberströmt", {"naked", "bed", "blood"}),
        ("une femme nue sur un lit", {"woman", "naked", "bed"}),
        ("mujer desnuda en la cama", {"woman", "naked", "bed"}),
        ("donna nuda sul letto", {"woman", "naked", "bed"}),
        ("mulher nua na cama", {"woman", "naked", "bed"}),
        ("голая женщина на кровати", {"woman", "naked", "bed"}),
        ("床上的裸体女人", {"woman", "naked", "bed"}),
        ("ベッドの上の全裸の女性", {"woman", "naked", "bed"}),
        ("침대 위의 나체 여성", {"woman", "naked", "bed"}),
        ("امرأة عارية على السرير", {"woman", "naked", "bed"}),
        ("बिस्तर पर नग्न महिला", {"woman", "naked", "bed"}),
        ("\u0430 g\u043elden l\u0430ke with hidden Cyrillic letters", {"golden", "lake"}),
    ],
)
def test_what_the_picture_shows_is_read_in_english(glosses: Glosses, text: str, words: set[str]) -> None:
    assert words <= set(glosses.read(text).split())


@pytest.mark.parametrize(
    "text",
    [
        "a die cast model of a bad wolf, art by gift shop",
        "the chat room of a kind man in paris, film still",
        "Sang by a choir on the mere, pool party",
        "portrait of don quixote, la mancha, oil on canvas",
        "",
        "12 %",
    ],
)
def test_english_passes_through(glosses: Glosses, text: str) -> None:
    assert glosses.read(text) == " ".join(canonical(text).text.split())


def test_a_foreign_word_inside_english_is_replaced_alone(glosses: Glosses) -> None:
    assert glosses.read("the woman is desnuda in the photo of the house") == (
        "the woman is naked in the photo of the house"
    )


def test_a_word_of_two_languages_counts_only_in_its_own(glosses: Glosses) -> None:
    """German "Gift" is poison; an English gift is not."""
    assert "poison" in glosses.read("das Gift und der Mann mit dem Messer")
    assert "poison" not in glosses.read("a gift on the table for the man")


def test_every_language_has_words(glosses: Glosses) -> None:
    filled = {name for name, table in glosses.tables.items() if len(table.exact) > 100}
    assert filled == set(LANGUAGES) - {"zh", "ja", "ko"}
    assert len(glosses.running_words) > 1000


@given(text=st.text(max_size=60))
def test_any_text_gives_a_reading_of_single_spaces(text: str) -> None:
    reading = READER.read(text)
    assert reading == " ".join(reading.split())


READER = read_glosses()


@pytest.mark.parametrize(
    ("body", "message"), [("naked | nackt*\n", "columns"), ("naked | a* |" + " |" * 9 + "\n", "letters")]
)
def test_a_broken_list_stops_the_start(tmp_path: Path, body: str, message: str) -> None:
    path = tmp_path / "glosses.txt"
    path.write_text(HEAD + body, encoding="utf-8")
    with pytest.raises(WeightsError, match=message):
        read_glosses(path)
