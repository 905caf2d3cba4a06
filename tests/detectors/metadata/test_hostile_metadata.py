"""Damaged and hostile metadata: never an error, never a long wait, never a raw control character in a report."""

import gzip
import json
import random
import struct
import time
import unicodedata
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.evidence import Evidence
from detectors.metadata.embedded_fields import EmbeddedFieldsDetector
from detectors.metadata.fields import (
    MAX_FIELDS,
    MAX_TEXT_BYTES,
    MAX_TOTAL_BYTES,
    EmbeddedFields,
    FieldCollector,
    Layer,
    MetadataField,
)
from detectors.metadata.generator_traces import GeneratorTracesDetector, find_claims, observe
from detectors.metadata.json_values import parse_object
from detectors.metadata.readers.container import read_embedded_fields
from detectors.metadata.readers.stealth import read_stealth
from detectors.metadata.text import visible
from tests.detectors.metadata import records as tools
from tests.detectors.metadata import writers as w

LIMIT_S = 4.0
"""Most processor time accepted for one hostile file; the slowest takes 0.5 s on a quiet core."""
INFOTEXT = tools.info("Version: v1.10.1")
RICH = {
    "png": w.png(
        w.text_chunk("parameters", INFOTEXT),
        w.ztext_chunk("Comment", json.dumps(tools.NOVELAI).encode()),
        w.itext_chunk("prompt", json.dumps(tools.GRAPH), compressed=True),
        w.itext_chunk("XML:com.adobe.xmp", w.xmp("<TC260:AIGC>{}</TC260:AIGC><xmp:CreatorTool>x</xmp:CreatorTool>")),
        w.chunk(b"eXIf", w.tiff([w.ascii_entry(0x0131, "x" * 20)], [w.user_comment(INFOTEXT)])),
        w.text_chunk("Raw profile type exif", "\nexif\n      20\n" + w.tiff([w.ascii_entry(0x10F, "maker")]).hex()),
        w.chunk(b"caBX", b"\x6fclaim_generator\x67ChatGPT"),
    ),
    "jpeg": w.jpeg(
        w.segment(
            0xE1, b"Exif\0\0" + w.tiff([w.ascii_entry(0x10E, "d" * 30)], [w.user_comment(json.dumps(tools.SWARM))])
        ),
        w.segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + w.xmp("<xmp:CreatorTool>Krita</xmp:CreatorTool>").encode()),
        w.segment(
            0xED,
            b"Photoshop 3.0\x008BIM\x04\x04\0\0" + struct.pack(">I", 40) + w.iim(d110="c" * 14, d120="e" * 16),
        ),
        w.segment(0xEB, b"JP\0\1\0\0\0\1\x6dsoftwareAgent\x67DALL\xc2\xb7E"),
        w.segment(0xFE, INFOTEXT.encode()),
    ),
    "webp": w.webp(
        (b"EXIF", w.tiff([w.ascii_entry(0x0110, "prompt:" + json.dumps(tools.GRAPH))])),
        (b"XMP ", w.xmp("<xmp:CreatorTool>Krita</xmp:CreatorTool>").encode()),
    ),
    "gif": w.gif(INFOTEXT.encode()),
    "avif": w.avif_exif(w.tiff(exif=[w.user_comment(INFOTEXT)]), w.xmp("<xmp:CreatorTool>Krita</xmp:CreatorTool>")),
    "tiff": w.tiff([w.ascii_entry(0x10E, "d" * 30), (0x02BC, 1, w.xmp("<xmp:Label>a</xmp:Label>").encode())]),
}


def everything(data: bytes) -> Evidence:
    """Read, parse and weigh a file as the detectors do; returns the last evidence."""
    fields = read_embedded_fields(data)
    for claim in find_claims(fields):
        assert observe(claim)
    GeneratorTracesDetector().weigh(find_claims(fields), fields.unreadable)
    return EmbeddedFieldsDetector().weigh(fields)


@pytest.mark.parametrize("kind", sorted(RICH))
def test_the_files_that_are_damaged_below_are_read_when_whole(kind: str) -> None:
    fields = read_embedded_fields(RICH[kind])
    assert fields.unreadable == ()
    assert fields.fields


@pytest.mark.parametrize("kind", sorted(RICH))
def test_truncation_anywhere(kind: str) -> None:
    data = RICH[kind]
    start = time.process_time()
    for length in range(0, len(data), max(1, len(data) // 250)):
        everything(data[:length])
    assert time.process_time() - start < 10 * LIMIT_S


@pytest.mark.parametrize("kind", sorted(RICH))
def test_flipped_bytes_anywhere(kind: str) -> None:
    rng = random.Random(20)
    for _ in range(200):
        data = bytearray(RICH[kind])
        for _ in range(rng.choice((1, 3, 20))):
            data[rng.randrange(min(len(data), 6000))] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))
        everything(bytes(data))


@pytest.mark.parametrize("kind", sorted(RICH))
def test_inserted_and_removed_ranges(kind: str) -> None:
    rng = random.Random(21)
    for _ in range(150):
        data = bytearray(RICH[kind])
        at, size = rng.randrange(len(data)), rng.randrange(1, 64)
        if rng.random() < 0.5:
            del data[at : at + size]
        else:
            data[at:at] = rng.randbytes(size)
        everything(bytes(data))


def node(targets: list[str], **plain: int) -> dict[str, object]:
    """A node that is sampler and encoder at once, with every input a link."""
    named = ("text", "positive", "negative", "seed", "steps", "cfg", "model", "width", "height", "latent_image")
    links = {f"other{index}": [target, 0] for index, target in enumerate(targets)}
    links |= {name: [targets[index % len(targets)], 0] for index, name in enumerate(named)}
    return {"class_type": "KSamplerTextEncodeLatent", "inputs": {**links, **plain}}


NASTY = {
    "nested_json": '{"a":' * 10_000,
    "nested_json_closed": '{"a":' * 10_000 + "1" + "}" * 10_000,
    "nested_lists": '{"nodes":' + "[" * 50_000,
    "many_lists": '{"a":[' + "[]," * 600_000 + "[]]}",
    "huge_number": '{"seed":' + "9" * 100_000 + "}",
    "infinity": '{"sui_image_params":{"seed":Infinity,"steps":NaN,"cfgscale":1e999}}',
    "wrong_types": '{"sui_image_params":[1],"prompt":{"1":{"class_type":5,"inputs":[]}},"uc":{},"Label":[]}',
    "nul": "a\0b" * 1000,
    "bidi": "\u202e\u2066\u200f" * 1000,
    "surrogates": json.dumps({"prompt": "x"}).replace("x", "\\ud800\\udfff\\udc00"),
    "ten_megabytes": "A" * 10_000_000,
    "ten_megabytes_json": '{"prompt":"' + "A" * 10_000_000 + '"}',
    "infotext_open_brackets": "p\nSteps: 1, Seed: 2, Size: 1x1, " + "a: {, " * 30_000,
    "infotext_open_quotes": 'p\nSteps: 1, Seed: 2, Size: 1x1, a: "' + '\\"' * 90_000,
    "infotext_commas": "p\nSteps: 1, Seed: 2, Size: 1x1, " + "," * 190_000,
    "infotext_many_steps": "Steps: 1, " * 20_000,
    "spaces": " " * 1_000_000 + "Job ID:",
    "dashes": "p " + " --a" * 5_000 + " " * 15_000 + "x Job ID: 18d94930-8cc0-4467-989f-49b3e5e5d61b",
    "midjourney_spaces": "p --ar" + " " * 19_000 + "x Job ID: 18d94930-8cc0-4467-989f-49b3e5e5d61b",
    "dream": '"' * 50_000 + " " * 50_000 + "-",
    "brackets": "[" * 100_000,
    "mochi": "Include in Image: x; " * 2_400 + "Generator: Mochi Diffusion",
    "call": "prompt='" + "', seed=1" * 5_000,
    "graph_wide": json.dumps({str(i): node(["0"], seed=1) for i in range(9_000)}),
    "graph_dense": json.dumps({str(i): node([str((i * 7 + j) % 300) for j in range(120)]) for i in range(300)}),
    "graph_loop": json.dumps({"1": node(["1"])}),
}  # fmt: skip
KEYS = (
    "parameters",
    "prompt",
    "workflow",
    "Comment",
    "Description",
    "Dream",
    "sd-metadata",
    "invokeai_metadata",
    "AIGC",
)


@pytest.mark.parametrize("name", sorted(NASTY))
def test_hostile_texts_under_every_key(name: str) -> None:
    text = NASTY[name]
    start = time.process_time()
    for key in KEYS:
        everything(w.png(w.itext_chunk(key, text, compressed=True)))
    exif = w.png(w.chunk(b"eXIf", w.tiff([w.ascii_entry(0x10E, text)], [w.user_comment(text, encoding="utf-16-be")])))
    everything(exif)
    assert time.process_time() - start < 2.5 * LIMIT_S


def many(piece: bytes, count: int) -> bytes:
    return piece * count


BOMB = zlib.compress(b"A" * 50_000_000, 9)
WIDE_XMP = w.xmp("".join(f"<dc:a{i}>x</dc:a{i}>" for i in range(19_000)))
DEEP_XMP = w.xmp("<dc:a>" * 20_000 + "</dc:a>" * 20_000)
LONG_EXIF = b"Exif\0\0" + w.tiff([w.ascii_entry(0x10E, "x" * 60_000)])
EXTENSION = b"http://ns.adobe.com/xmp/extension/\0" + b"G" * 32 + struct.pack(">II", 9, 4) + b"x"
HOSTILE_FILES = {
    "inflate_bomb": w.png(w.chunk(b"zTXt", b"parameters\0\0" + BOMB)),
    "many_inflate_bombs": w.png(many(w.chunk(b"zTXt", b"parameters\0\0" + zlib.compress(b" " * 2_000_000, 9)), 3_000)),
    "many_damaged_bombs": w.png(
        many(w.chunk(b"zTXt", b"k\0\0" + zlib.compress(b" " * 2_000_000, 9)[:-5] + b"\xff\xff\xff"), 3_000)
    ),
    "many_texts": w.png(many(w.text_chunk("a", "b"), 60_000)),
    "many_chunks": w.png(many(w.chunk(b"abCd", b""), 200_000)),
    "many_xmp": w.png(many(w.itext_chunk("XML:com.adobe.xmp", WIDE_XMP, compressed=True), 300)),
    "deep_xmp": w.png_xmp(DEEP_XMP),
    "wide_xmp": w.png_xmp(WIDE_XMP),
    "newline_xmp": w.png_xmp(w.xmp("<dc:a>" + "\n&amp;" * 300_000 + "</dc:a>")),
    "entities": w.png_xmp('<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><x>&b;</x>'),
    "external_entity": w.png_xmp('<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><x>&a;</x>'),
    "chunk_length_4g": w.SIGNATURE + b"\xff\xff\xff\xfftEXtparameters\0x",
    "fill_bytes": b"\xff\xd8" + b"\xff" * 5_000_000,
    "many_segments": b"\xff\xd8" + many(w.segment(0xFE, b"x"), 100_000),
    "many_exif_segments": b"\xff\xd8" + many(w.segment(0xE1, LONG_EXIF), 600),
    "extended_xmp_gaps": b"\xff\xd8" + many(w.segment(0xE1, EXTENSION), 4_000),
    "ifd_loop": w.jpeg(w.segment(0xE1, b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x87\x69\0\x04\0\0\0\x01\0\0\0\x08\0\0\0\x08")),
    "ifd_shared_text": w.png(w.chunk(b"eXIf", w.shared_text_tiff(500, 3_000_000))),
    "gif_small_sub_blocks": w.gif(b"")[:-1] + b"!\xfe" + b"\x01a" * 5_000_000,
    "gif_many_comments": w.plain("GIF")[:13] .replace(w.plain("GIF")[10:11], b"\0", 1) + b"!\xfe\x01a\0" * 500_000,
    "riff_zero_chunks": b"RIFF\0\0\0\0WEBP" + b"ABCD\0\0\0\0" * 500_000,
    "iim_zero_length": w.jpeg_iptc(b"\x1c\x02\x78\0\0" * 10_000),
    "boxes": b"\0\0\0\x08ftypavif" + b"\0\0\0\x08abcd" * 500_000,
    "names": w.png(w.chunk(b"caBX", b"\x64name\x63abc" * 400_000)),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(HOSTILE_FILES))
def test_hostile_files_are_read_within_the_time_limit(name: str) -> None:
    start = time.process_time()
    evidence = everything(HOSTILE_FILES[name])
    assert time.process_time() - start < LIMIT_S
    assert len(evidence.observations) < 200


def test_what_goes_over_a_limit_is_said() -> None:
    fields = read_embedded_fields(HOSTILE_FILES["inflate_bomb"])
    assert len(fields.fields[0].text) == MAX_TEXT_BYTES
    assert "longer than" in fields.unreadable[0].reason
    assert any("not opened" in note.reason for note in read_embedded_fields(HOSTILE_FILES["many_texts"]).unreadable)
    assert any("DTD" in note.reason for note in read_embedded_fields(HOSTILE_FILES["entities"]).unreadable)
    assert any("levels" in note.reason for note in read_embedded_fields(HOSTILE_FILES["deep_xmp"]).unreadable)


def test_the_budgets_hold() -> None:
    out = FieldCollector()
    for index in range(MAX_FIELDS * 2):
        out.add(Layer.COMMENT, f"k{index}", "x" * 100, "here")
    assert len(out.result().fields) == MAX_FIELDS
    out = FieldCollector()
    for _ in range(10):
        out.add(Layer.COMMENT, "k", "x" * (MAX_TEXT_BYTES - 1), "here")
    assert sum(len(found.text) for found in out.result().fields) <= MAX_TOTAL_BYTES
    assert out.full


@pytest.mark.parametrize("length_bits", [0, 7, 8 * 10**8, 2**32 - 8])
def test_hidden_text_with_an_impossible_length(length_bits: int) -> None:
    array = w.hidden_alpha(b"x" * 100)
    header = struct.pack(">I", length_bits)
    bits = [byte >> shift & 1 for byte in header for shift in range(7, -1, -1)]
    flat = array[:, :, 3].T.reshape(-1).copy()
    flat[120:152] = [254 | bit for bit in bits]
    array[:, :, 3] = flat.reshape(256, 256).T
    out = FieldCollector()
    read_stealth(array[:, :, :3], array[:, :, 3], out)
    assert out.result().fields == ()
    assert "impossible length" in out.result().unreadable[0].reason


def test_hidden_text_that_is_a_bomb_or_broken() -> None:
    for payload in (gzip.compress(b"[" * 30_000_000), b"not gzip"):
        array = w.hidden_alpha(payload, side=768)
        out = FieldCollector()
        read_stealth(array[:, :, :3], array[:, :, 3], out)
        assert out.result().unreadable
        assert sum(len(found.text) for found in out.result().fields) <= MAX_TEXT_BYTES


def shows_all(text: str) -> bool:
    """Whether every character has a glyph or is a plain kind of space."""
    return all(char.isprintable() or unicodedata.category(char) == "Zs" for char in text)


texts = st.one_of(
    st.text(max_size=200),
    st.sampled_from([INFOTEXT, json.dumps(tools.GRAPH), json.dumps(tools.FOOOCUS), tools.MIDJOURNEY, tools.MOCHI]),
    st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20)),
        lambda inner: st.one_of(
            st.lists(inner, max_size=4),
            st.dictionaries(
                st.sampled_from(
                    ["prompt", "inputs", "class_type", "nodes", "type", "seed", "image", "model", "1", "Label", "AIGC",
                     "positive", "text", "sui_image_params", "v4_prompt", "uc", "c", "full_prompt", "base_model"]
                ),
                inner,
                max_size=6,
            ),
        ),
        max_leaves=20,
    ).map(json.dumps),
)  # fmt: skip
layers_and_keys = st.tuples(
    st.sampled_from(list(Layer)),
    st.sampled_from(
        ["parameters", "prompt", "workflow", "Comment", "Description", "Software", "Source", "UserComment", "Model",
         "Make", "ImageDescription", "Artist", "MakerNote", "Dream", "sd-metadata", "invokeai_metadata", "AIGC",
         "fooocus_scheme", "TC260:AIGC", "Iptc4xmpExt:DigitalSourceType", "dc:description", "Caption-Abstract", "name"]
    ),
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(layers_and_keys, texts), max_size=4))
def test_parsers_are_total(pairs: list[tuple[tuple[Layer, str], str]]) -> None:
    found = tuple(
        MetadataField(layer=layer, key=key, text=text, where="t", record=parse_object(text))
        for (layer, key), text in pairs
        if text
    )
    fields = EmbeddedFields(fields=found)
    evidence = GeneratorTracesDetector().weigh(find_claims(fields), ())
    assert (evidence.generator is None) == (find_claims(fields) == ())
    for line in (*evidence.observations, *EmbeddedFieldsDetector().weigh(fields).observations):
        assert shows_all(line.value)
        assert shows_all(line.name)


@given(st.text())
def test_visible_text_has_no_invisible_characters(text: str) -> None:
    assert shows_all(visible(text))


@settings(max_examples=150, deadline=None)
@given(
    st.binary(max_size=400),
    st.sampled_from(
        [b"", w.SIGNATURE, b"\xff\xd8\xff\xe1", b"RIFF\0\0\0\0WEBP", b"II*\0", b"GIF89a", b"\0\0\0\x18ftypavif"]
    ),
)
def test_readers_are_total(body: bytes, head: bytes) -> None:
    everything(head + body)
