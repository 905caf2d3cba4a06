# ruff: noqa: RUF001 - look-alike characters are what is tested
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from guard.prompt_check.normalise import MAX_VIEWS, MAX_WRITTEN_VIEWS, canonical, fold, turns_weights_around, views
from guard.prompt_check.written_out import written_out


def readings(text: str) -> list[str]:
    return [view.text for view in views(text)]


@pytest.mark.parametrize(
    ("disguised", "word"),
    [
        ("LIGHTHOUSE", "lighthouse"),
        ("ｌｉｇｈｔ", "light"),
        ("𝓁𝒾𝑔𝒽𝓉", "light"),
        ("🅻🅸🅶🅷🆃", "light"),
        ("lïghthöuse", "lighthouse"),
        ("l̷i̴g̸h̶t̷", "light"),
        ("li\u200bgh\u200dt", "light"),
        ("li\u202egh\u2066t", "light"),
        ("li\u00adght", "light"),
        ("\U000e006c\U000e0069\U000e0067\U000e0068\U000e0074", "light"),
        ("bоаt", "boat"),  # Cyrillic o, a
        ("ᴍᴏᴏɴ", "moon"),
        ("l i g h t", "light"),
        ("l.i.g.h.t", "light"),
        ("l-i_g*h/t", "light"),
        ("l  i  g  h  t", "light"),
        ("li.ght", "light"),
        ("li_ght", "light"),
        ("li(ght:1.3)", "light"),
        ("((light))", "light"),
        ("(light:1.4)", "light"),
        ("(light)1.3", "light"),
        ("(light:-1)", "light"),
        ("[light|dark]", "light"),
        ("{light|dark}", "light"),
        ("<lora:light_style:0.8>", "light"),
        ("__light__", "light"),
        ("l1ght", "light"),
        ("b0@t", "boat"),
        ("he11o", "hello"),
        ("$ea", "sea"),
        ("liiiight", "light"),
        ("mooooon", "moon"),
        ("🔪", "knife"),
    ],
)
def test_a_disguised_word_is_read(disguised: str, word: str) -> None:
    found = [view for view in views(f"a {disguised} here") if word in view.text.replace("(", " ").replace(")", " ")]
    assert found, readings(disguised)
    at = found[0].text.index(word)
    start, end = found[0].span(at, at + len(word))
    assert 2 <= start < end <= 2 + len(disguised)


def test_two_spaced_words_are_kept_apart() -> None:
    assert "red boat" in readings("r e d   b o a t")


def test_ordinary_text_has_one_reading() -> None:
    assert readings("A red boat on a calm lake") == ["a red boat on a calm lake"]


def test_other_scripts_stay_what_they_are() -> None:
    for text in ("красная лодка", "红色的船", "赤いボート", "빨간 배", "मछली पकड़ने वाली नाव"):
        assert fold(text).text.replace(" ", "") == text.replace(" ", "")


def test_weights_disappear_but_ratios_and_times_stay() -> None:
    assert fold("(red boat:1.25)").text.split() == ["(red", "boat", ")"]
    assert "16:9" in fold("poster, 16:9, at 10:30").text


@pytest.mark.parametrize(
    ("text", "expected"),
    [("(boat:-1.2)", True), ("(boat:1.2)", False), ("(boat)-1.0", True), ("light-1 boat", False), ("a-b", False)],
)
def test_negative_weights_are_seen(text: str, expected: bool) -> None:
    assert turns_weights_around(text) is expected


def test_canonical_is_the_last_word() -> None:
    assert canonical("A r.e.d b0аt, mooon").text == "a red boat, moon"


@settings(deadline=None)
@given(st.text(max_size=80))
@example("\u0250\u0254 a&#98;c eht gur RedHouse")
def test_every_view_maps_into_the_original(text: str) -> None:
    found = views(text)
    assert 1 <= len(found) <= MAX_VIEWS + 5 * MAX_WRITTEN_VIEWS  # decoded, three ciphers, words run together
    for view in (*found, canonical(text)):
        assert len(view.text) == len(view.origin)
        assert all(0 <= start < end <= len(text) for start, end in view.origin)
        in_order = list(view.origin) == sorted(view.origin)
        assert in_order or written_out(text)  # what is backwards or upside down is read from the end


@settings(deadline=None)
@given(st.text(alphabet=st.characters(max_codepoint=0x24F, categories=("L", "N", "Z", "P")), max_size=60))
def test_folding_twice_changes_nothing(text: str) -> None:
    once = fold(text).text
    assert fold(once).text == once
