"""Names of generators in credit, maker and credential fields: whole and unmistakable ones only."""

import pytest

from detectors.evidence import Direction
from detectors.metadata.generator_traces import GeneratorTracesDetector
from tests.detectors.metadata import writers as w

PEOPLE_AND_FIRMS = (
    "Sora",
    "Sora Tanaka",
    "Created by Sora Tanaka",
    "Made with Sora Tanaka",
    "Gemini 2 Photography",
    "Imagen 1/Getty",
    "Adobe Firefly press event",
    "Midjourney exhibition / J. Doe",
    "Ideogram Studio Paris",
    "Recraft Furniture Ltd",
    "Nightcafe Bern",
    "Civitai Inc.",
    "Stable Diffusion meetup, photo by Ann Lee",
    "ChatGPT launch photo by AP",
    "Meta AI researchers/AFP",
    "Fooocus Fotografie",
    "Generated with care",
)


def generator(data: bytes) -> str | None:
    evidence = GeneratorTracesDetector().examine(w.upload(data))
    assert (evidence.direction is Direction.AI) == (evidence.generator is not None)
    return evidence.generator


@pytest.mark.parametrize("credit", PEOPLE_AND_FIRMS)
def test_a_credit_of_a_person_or_a_firm_names_no_generator(credit: str) -> None:
    assert generator(w.jpeg_iptc(w.iim(d110=credit))) is None
    assert generator(w.jpeg_xmp(w.xmp(f"<photoshop:Credit>{credit}</photoshop:Credit>"))) is None
    assert generator(w.jpeg_exif(w.ascii_entry(0x010F, credit))) is None


def test_a_maker_of_lenses_is_no_generator() -> None:
    assert generator(w.jpeg_exif(w.ascii_entry(0x010F, "Hunyuan Optics"))) is None


@pytest.mark.parametrize(
    ("credit", "tool"),
    [
        ("Made with Google AI", "Google AI (Gemini or Imagen)"),
        ("Imagined with AI", "Meta AI"),
        ("Generated with Midjourney", "Midjourney"),
        ("Made using Sora", "Sora (OpenAI)"),
        ("Midjourney v6.1", "Midjourney"),
        ("Adobe Firefly", "Adobe Firefly"),
        ("Black Forest Labs", "FLUX (Black Forest Labs)"),
        ("DALL\u00b7E 3", "DALL-E (OpenAI)"),
    ],
)
def test_a_credit_that_is_a_generator_names_it(credit: str, tool: str) -> None:
    assert generator(w.jpeg_xmp(w.xmp(f"<photoshop:Credit>{credit}</photoshop:Credit>"))) == tool


def credential(description: str) -> bytes:
    text = description.encode()
    box = b"\xa2\x66action\x6cc2pa.created\x6bdescription\x78" + bytes([len(text)]) + text
    return w.png(w.chunk(b"caBX", box))


def test_googles_sentence_in_a_credential_names_google() -> None:
    assert generator(credential("Created by Google Generative AI.")) == "Google AI (Gemini or Imagen)"


@pytest.mark.parametrize("text", ["Midjourney poster", "Adobe Firefly", "Not Created by Google Generative AI."])
def test_other_descriptions_in_a_credential_name_nobody(text: str) -> None:
    assert generator(credential(text)) is None


def test_many_descriptions_do_not_hide_the_name_behind_them() -> None:
    box = b"\x6bdescription\x63abc" * 100 + b"\x6fclaim_generator\x67ChatGPT"
    assert generator(w.png(w.chunk(b"caBX", box))) == "OpenAI (ChatGPT or API)"
