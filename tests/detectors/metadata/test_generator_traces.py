"""The detector, and the records of services and small tools."""

import gzip
import json

import pytest

from detectors.evidence import Direction, Evidence, Grade
from detectors.metadata.fields import EmbeddedFields
from detectors.metadata.generator_traces import GeneratorTracesDetector, find_claims
from detectors.metadata.parsers.claim import Claim
from detectors.metadata.readers.container import read_embedded_fields
from tests.detectors.metadata import records as r
from tests.detectors.metadata import writers as w


def examine(data: bytes) -> Evidence:
    return GeneratorTracesDetector().examine(w.upload(data))


def test_novelai_in_text_and_in_webp() -> None:
    texts = {"Title": "AI generated image", "Software": "NovelAI", "Source": "NovelAI Diffusion V4 37442FCA"}
    for data in (
        w.png_texts(**texts, Comment=json.dumps(r.NOVELAI)),
        w.webp((b"EXIF", w.tiff(exif=[w.user_comment(json.dumps({"Comment": json.dumps(r.NOVELAI)}))]))),
    ):
        claim = r.only(data)
        assert (claim.tool, claim.prompt, claim.negative_prompt, claim.size) == (
            "NovelAI",
            "cat, space",
            "lowres",
            "832x1216",
        )
    assert r.only(w.png_texts(**texts, Comment=json.dumps(r.NOVELAI))).model == "NovelAI Diffusion V4 37442FCA"


@pytest.mark.parametrize("magic", [b"stealth_pngcomp", b"stealth_pnginfo"])
def test_novelai_hidden_in_alpha(magic: bytes) -> None:
    record = json.dumps({"Software": "NovelAI", "Source": "V3", "Comment": json.dumps(r.NOVELAI)}).encode()
    payload = gzip.compress(record) if magic.endswith(b"comp") else record
    evidence = examine(w.plain("PNG", w.hidden_alpha(payload, magic)))
    assert evidence.generator == "NovelAI"
    assert any(line.name == "prompt" and line.value == "cat, space" for line in evidence.observations)
    assert all("alpha" in line.where for line in evidence.observations)


@pytest.mark.parametrize("magic", [b"stealth_rgbcomp", b"stealth_rgbinfo"])
def test_infotext_hidden_in_colour(magic: bytes) -> None:
    record = r.info("Version: v1.9").encode()
    payload = gzip.compress(record) if magic.endswith(b"comp") else record
    evidence = examine(w.plain("PNG", w.hidden_colour(payload, magic)))
    assert evidence.generator == "AUTOMATIC1111 Stable Diffusion WebUI"


def test_draw_things_in_xmp_and_exif() -> None:
    text = json.dumps(r.DRAW_THINGS).replace("&", "&amp;")
    for data in (
        w.png_xmp(
            w.xmp(
                f"<exif:UserComment><rdf:Alt><rdf:li xml:lang='x-default'>{text}</rdf:li></rdf:Alt></exif:UserComment>"
            )
        ),
        w.jpeg_exif(exif=[w.user_comment(text, code=b"ASCII\0\0\0", encoding="ascii")]),
    ):
        claim = r.only(data)
        assert (claim.tool, claim.prompt, claim.negative_prompt, claim.size) == (
            "Draw Things",
            "a kite",
            "rain",
            "768x512",
        )


def test_easy_diffusion_in_both_spellings() -> None:
    for data in (
        w.png(*(w.text_chunk(key, text) for key, text in r.EASY.items())),
        w.png(*(w.text_chunk(key, str(text)) for key, text in r.EASY_SNAKE.items())),
        w.jpeg_exif(exif=[w.user_comment(json.dumps(r.EASY_SNAKE))]),
    ):
        claim = r.only(data)
        assert (claim.tool, claim.model, claim.prompt, claim.negative_prompt) == (
            "Easy Diffusion",
            "barn.ckpt",
            "a red barn",
            "cars",
        )
        assert (claim.seed, claim.steps, claim.size) == ("99", "25", "512x640")


def test_midjourney_in_png_text_and_xmp() -> None:
    for data in (
        w.png_texts(Description=r.MIDJOURNEY, Author="someone"),
        w.jpeg_xmp(w.xmp(f"<dc:description><rdf:Alt><rdf:li>{r.MIDJOURNEY}</rdf:li></rdf:Alt></dc:description>")),
    ):
        claim = r.only(data)
        assert (claim.tool, claim.model) == ("Midjourney", "Midjourney v6.1")
        assert claim.prompt == "a mouse in pastel -- really soft, poster art"
        assert claim.negative_prompt == "frame, text"
        assert dict(claim.extra)["job id"] == "18d94930-8cc0-4467-989f-49b3e5e5d61b"
        assert dict(claim.extra)["--ar"] == "9:16"


def test_mochi_diffusion_in_iptc_and_both_caption_forms() -> None:
    version_2 = "Metadata Version: 2\n" + r.MOCHI.replace("; Exclude", "\nExclude").replace("; Model", "\nModel")
    for caption in (r.MOCHI, version_2):
        claim = r.only(w.jpeg_iptc(w.iim(d65="Mochi Diffusion", d120=caption)))
        assert (claim.tool, claim.prompt, claim.negative_prompt) == ("Mochi Diffusion", "a red; blue cube", "fog")
        assert (claim.seed, claim.size, claim.model) == ("42", "64x32", "sd-2-1")


def test_openai_labs_signs_in_exif() -> None:
    note = b"OpenAI--ImageGeneration--generation-A508h9iJeFH5ntZLoXGhpwDB\0"
    claim = r.only(w.png(w.chunk(b"eXIf", w.tiff([(0x927C, 2, note), w.ascii_entry(0x9286, "Made with OpenAI Labs")]))))
    assert claim.tool == "DALL-E 2 (OpenAI Labs)"
    assert claim.extra == (("generation id", "generation-A508h9iJeFH5ntZLoXGhpwDB"),)


def test_flux_script_and_uno() -> None:
    flux = r.only(
        w.jpeg_exif(
            w.ascii_entry(0x0131, "AI generated;txt2img;flux"),
            w.ascii_entry(0x010F, "Black Forest Labs"),
            w.ascii_entry(0x0110, "flux-schnell"),
            w.ascii_entry(0x010E, "a glass whale"),
        )
    )
    assert (flux.tool, flux.model, flux.prompt) == ("FLUX (Black Forest Labs)", "flux-schnell", "a glass whale")
    call = "prompt='it\\'s, a cup', seed=7, width=512, height=640, guidance=4, num_steps=25"
    uno = r.only(
        w.jpeg_exif(w.ascii_entry(0x010F, "UNO"), w.ascii_entry(0x0110, "flux-dev"), w.ascii_entry(0x010E, call))
    )
    assert (uno.tool, uno.model, uno.seed, uno.steps, uno.size) == ("UNO (FLUX)", "flux-dev", "7", "25", "512x640")


def test_grok_needs_both_halves() -> None:
    signature = w.ascii_entry(0x010E, "Signature: " + "Ab3/" * 24 + "==")
    artist = w.ascii_entry(0x013B, "0b7a7dcf-0000-4000-8000-1234567890ab")
    assert r.only(w.jpeg_exif(signature, artist)).tool == "Grok (xAI)"
    assert find_claims(read_embedded_fields(w.jpeg_exif(signature))) == ()
    assert find_claims(read_embedded_fields(w.jpeg_exif(artist))) == ()


def test_iptc_ai_fields() -> None:
    claim = r.only(
        w.jpeg_xmp(
            w.xmp(
                "<Iptc4xmpExt:AISystemUsed>Acme Painter</Iptc4xmpExt:AISystemUsed>"
                "<Iptc4xmpExt:AISystemVersionUsed>3.1</Iptc4xmpExt:AISystemVersionUsed>"
                "<Iptc4xmpExt:AIPromptInformation>a boat</Iptc4xmpExt:AIPromptInformation>"
            )
        )
    )
    assert (claim.tool, claim.model, claim.prompt) == ("Acme Painter", "3.1", "a boat")


@pytest.mark.parametrize(
    ("data", "tool"),
    [
        (w.jpeg_xmp(w.xmp("<photoshop:Credit>Made with Google AI</photoshop:Credit>")), "Google AI (Gemini or Imagen)"),
        (w.jpeg_iptc(w.iim(d110="Edited with Google AI")), "Google AI (edited)"),
        (w.jpeg_iptc(w.iim(d110="Apple Image Playground")), "Apple Image Playground"),
        (w.png_xmp(w.xmp("<xmp:CreatorTool>Adobe Firefly 3.0</xmp:CreatorTool>")), "Adobe Firefly"),
        (w.jpeg_exif(w.ascii_entry(0x0131, "NovelAI")), "NovelAI"),
        (w.jpeg_exif(w.ascii_entry(0x0131, "DALL\u00b7E 3")), "DALL-E (OpenAI)"),
        (w.jpeg_exif(w.ascii_entry(0x0131, "Draw Things")), "Draw Things"),
        (w.png_texts(Software="Stable Diffusion v1-5"), "Stable Diffusion (Stability AI)"),
    ],
)
def test_generators_that_leave_only_their_name(data: bytes, tool: str) -> None:
    evidence = examine(data)
    assert (evidence.generator, evidence.grade, evidence.direction) == (tool, Grade.SUPPORTING, Direction.AI)


def test_a_name_inside_a_content_credential_is_reported_as_unchecked() -> None:
    box = b"\xa2\x6fclaim_generator\x78\x19ChatGPT c2pa-rs/0.31.3 abc\x6dsoftwareAgent\x68DALL\xc2\xb7E!"
    claim = r.only(w.png(w.chunk(b"caBX", box.replace(b"\x68DALL\xc2\xb7E!", b"\x67DALL\xc2\xb7E"))))
    assert claim.tool == "DALL-E (OpenAI)"
    assert "not verified" in claim.where


@pytest.mark.parametrize(
    "data",
    [
        w.plain("PNG"),
        w.plain("JPEG"),
        w.jpeg_exif(w.ascii_entry(0x010F, "Canon"), w.ascii_entry(0x0131, "Adobe Photoshop 25.0")),
        w.jpeg_exif(w.ascii_entry(0x010E, "Midjourney exhibition, made with Google AI, Stable Diffusion")),
        w.png_texts(Description="a step: Steps: 3, then rest", Comment="Created with GIMP"),
        w.png_texts(parameters="Steps: 20"),
        w.png_texts(prompt="say cheese", workflow="raw to jpeg"),
        w.png_texts(prompt='{"a": 1}', workflow='{"nodes": []}'),
        w.jpeg_exif(exif=[w.user_comment('{"camera": "x", "seed": 3}')]),
        w.png_texts(Software="Imagenes 2.0"),
        w.png_texts(Software="Firefly shader editor"),
        w.png_texts(Description="Job ID: 1234"),
        w.jpeg_iptc(w.iim(d110="Made with AI")),
    ],
    ids=list("abcdefghijklm"),
)
def test_nothing_is_named_where_nothing_signed(data: bytes) -> None:
    evidence = examine(data)
    assert (evidence.generator, evidence.grade, evidence.direction) == (None, Grade.NEUTRAL, Direction.NONE)


def test_a_full_record_comes_before_a_bare_name_and_both_are_told() -> None:
    data = w.png_texts(Software="Stable Diffusion 1.5", prompt=json.dumps(r.GRAPH), parameters=r.info("Version: v1.9"))
    evidence = examine(data)
    assert evidence.generator == "ComfyUI"
    assert "ComfyUI, AUTOMATIC1111 Stable Diffusion WebUI and Stable Diffusion (Stability AI)" in evidence.reason


def test_observations_show_what_is_invisible_and_cut_what_is_long() -> None:
    text = r.info("Version: v1.9").replace("a lighthouse", "a \u202elighthouse\x00\u200b" + "x" * 5000)
    lines = {line.name: line.value for line in examine(w.png_texts(parameters=text)).observations}
    assert lines["prompt"].startswith("a \\u202elighthouse\\u0000\\u200bxxx")
    assert "more characters" in lines["prompt"]
    assert len(lines["prompt"]) < 2_200


def test_parsers_are_handed_in() -> None:
    def parser(fields: EmbeddedFields) -> Claim | None:
        return Claim(tool="own", where="here") if fields.named("own") else None

    evidence = GeneratorTracesDetector((parser,)).examine(w.upload(w.png_texts(own="x", Software="NovelAI")))
    assert evidence.generator == "own"


@pytest.mark.parametrize(
    "name", ["Google C2PA Core Generator Library", "Leica M11-P", "Adobe Photoshop 25.1", "Gemini"]
)
def test_signers_of_photographs_are_not_taken_for_generators(name: str) -> None:
    box = b"\x6fclaim_generator\x78" + bytes([len(name)]) + name.encode()
    assert examine(w.png(w.chunk(b"caBX", box))).generator is None
