"""Every parser on its own kind of record, cut anywhere and with hostile values in every place: never an error."""

import json
from collections.abc import Iterator
from dataclasses import fields as attributes
from dataclasses import replace

import pytest

from detectors.metadata.fields import EmbeddedFields, MetadataField
from detectors.metadata.generator_traces import observe
from detectors.metadata.json_values import parse_object
from detectors.metadata.parsers.claim import Claim, TraceParser
from detectors.metadata.parsers.registry import DEFAULT_PARSERS
from detectors.metadata.readers.container import read_embedded_fields
from tests.detectors.metadata import records as r
from tests.detectors.metadata import writers as w

OPENAI_NOTE = b"OpenAI--ImageGeneration--generation-A508h9iJeFH5ntZLoXGhpwDB\0"
RECORDS: dict[str, bytes] = {
    "parse_comfyui": w.png_texts(prompt=json.dumps(r.GRAPH), workflow=json.dumps(r.EDITOR)),
    "parse_invokeai": w.png_texts(invokeai_metadata=json.dumps(r.INVOKE)),
    "parse_fooocus": w.png_texts(parameters=json.dumps(r.FOOOCUS), fooocus_scheme="fooocus"),
    "parse_novelai": w.png_texts(Software="NovelAI", Source="NovelAI V4", Comment=json.dumps(r.NOVELAI)),
    "parse_swarmui": w.png_texts(parameters=json.dumps(r.SWARM)),
    "parse_draw_things": w.jpeg_exif(exif=[w.user_comment(json.dumps(r.DRAW_THINGS))]),
    "parse_easy_diffusion": w.jpeg_exif(exif=[w.user_comment(json.dumps(r.EASY_SNAKE))]),
    "parse_mochi": w.jpeg_iptc(w.iim(d65="Mochi Diffusion", d120=r.MOCHI)),
    "parse_infotext": w.png_texts(parameters=r.info("Version: v1.9")),
    "parse_midjourney": w.png_texts(Description=r.MIDJOURNEY, Author="someone"),
    "parse_openai_labs": w.png(
        w.chunk(b"eXIf", w.tiff([(0x927C, 2, OPENAI_NOTE), w.ascii_entry(0x9286, "Made with OpenAI Labs")]))
    ),
    "parse_exif_scripts": w.jpeg_exif(
        w.ascii_entry(0x010F, "UNO"),
        w.ascii_entry(0x0110, "flux-dev"),
        w.ascii_entry(0x010E, "prompt='it\\'s, a cup', seed=7, width=512, height=640, guidance=4, num_steps=25"),
    ),
    "parse_grok": w.jpeg_exif(
        w.ascii_entry(0x010E, "Signature: " + "Ab3/" * 24 + "=="),
        w.ascii_entry(0x013B, "0b7a7dcf-0000-4000-8000-1234567890ab"),
    ),
    "parse_ai_system": w.jpeg_xmp(
        w.xmp(
            "<Iptc4xmpExt:AISystemUsed>Acme Painter</Iptc4xmpExt:AISystemUsed>"
            "<Iptc4xmpExt:AISystemVersionUsed>3.1</Iptc4xmpExt:AISystemVersionUsed>"
            "<Iptc4xmpExt:AIPromptInformation>a boat</Iptc4xmpExt:AIPromptInformation>"
        )
    ),
    "parse_named_software": w.jpeg_exif(w.ascii_entry(0x0131, "DALL\u00b7E 3")),
    "parse_credential_names": w.png(w.chunk(b"caBX", b"\x6fclaim_generator\x67ChatGPT")),
}
HOSTILE: tuple[object, ...] = (
    None, True, -1, 10**400, float("nan"), float("-inf"), "", " ", "\0", "\u202e\u2066", "9" * 5_000, "x: y, " * 500,
    "{" * 300, "[[" * 200 + "]]" * 200, "\\" * 400, "'" * 300, "--" * 300, [], {}, [[]], [None, {}], {"": ""},
    {"inputs": {"text": ["1", 0]}}, ["1", 0],
)  # fmt: skip
"""What may stand where a record has a text, a number, a list or an object."""
PARSERS = {parser.__name__: parser for parser in DEFAULT_PARSERS}  # type: ignore[attr-defined]


def fields_of(name: str) -> EmbeddedFields:
    return read_embedded_fields(RECORDS[name])


def with_text(fields: EmbeddedFields, index: int, text: str) -> EmbeddedFields:
    """The fields with another text in one place, parsed as the readers do it."""
    found: list[MetadataField] = list(fields.fields)
    found[index] = replace(found[index], text=text, record=parse_object(text))
    return replace(fields, fields=tuple(found))


def sound(claim: Claim | None) -> bool:
    """Whether an answer is nothing, or a claim of texts only that can be shown."""
    if claim is None:
        return True
    values = [getattr(claim, item.name) for item in attributes(claim) if item.name not in ("extra", "forgeable")]
    texts = [value for value in values if value is not None] + [part for pair in claim.extra for part in pair]
    return bool(claim.tool.strip()) and all(isinstance(text, str) for text in texts) and bool(observe(claim))


def places(value: object, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The path of every value inside a JSON value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in inner:
        yield (*path, key)
        yield from places(part, (*path, key))


def replaced(value: object, path: tuple[str | int, ...], other: object) -> object:
    """A JSON value with another one at a path."""
    if not path:
        return other
    changed = dict(value) if isinstance(value, dict) else list(value)  # type: ignore[call-overload]
    changed[path[0]] = replaced(changed[path[0]], path[1:], other)
    return changed


def test_every_parser_has_a_record_and_recognises_it() -> None:
    assert set(RECORDS) == set(PARSERS)
    for name, parser in PARSERS.items():
        claim = parser(fields_of(name))
        assert claim is not None, name
        assert sound(claim), name


@pytest.mark.parametrize("name", sorted(PARSERS))
def test_a_record_may_end_anywhere(name: str) -> None:
    parser: TraceParser = PARSERS[name]
    fields = fields_of(name)
    for index, field in enumerate(fields.fields):
        for length in range(0, len(field.text), max(1, len(field.text) // 200)):
            assert sound(parser(with_text(fields, index, field.text[:length])))
        for start in range(1, len(field.text), max(1, len(field.text) // 50)):
            assert sound(parser(with_text(fields, index, field.text[start:])))


@pytest.mark.parametrize("name", sorted(PARSERS))
def test_a_record_may_hold_anything_anywhere(name: str) -> None:
    parser: TraceParser = PARSERS[name]
    fields = fields_of(name)
    for index, field in enumerate(fields.fields):
        for value in HOSTILE:
            assert sound(parser(with_text(fields, index, value if isinstance(value, str) else json.dumps(value))))
        if field.record is None:
            continue
        found = list(places(field.record))
        for number, path in enumerate(found[:: max(1, len(found) // 60)]):
            for value in (HOSTILE[number % len(HOSTILE)], HOSTILE[(7 * number + 3) % len(HOSTILE)], [], None, 10**400):
                text = json.dumps(replaced(field.record, path, value))
                assert sound(parser(with_text(fields, index, text))), (path, value)


@pytest.mark.parametrize("name", sorted(PARSERS))
def test_a_record_may_be_anybodys(name: str) -> None:
    parser: TraceParser = PARSERS[name]
    for other in RECORDS:
        assert sound(parser(fields_of(other)))
