"""Records in the forms that services and newer versions write them."""

import json

from detectors.evidence import Direction
from detectors.metadata.embedded_fields import EmbeddedFieldsDetector
from tests.detectors.metadata import records as r
from tests.detectors.metadata import writers as w


def test_civitais_generator_writes_beside_the_nodes_of_its_graph() -> None:
    extra = {"prompt": "a paper boat", "negativePrompt": "text", "steps": 25, "cfgScale": 7, "seed": 123}
    graph = {**r.GRAPH, "extra": {"airs": ["urn:air:sdxl:checkpoint:civitai:1@2"]}, "extraMetadata": json.dumps(extra)}
    claim = r.only(w.jpeg_exif(exif=[w.user_comment(json.dumps(graph))]))
    assert (claim.tool, claim.prompt, claim.negative_prompt) == ("Civitai (ComfyUI)", "a paper boat", "text")
    assert (claim.seed, claim.steps, claim.cfg) == ("123", "25", "7")
    assert claim.model is not None


def test_a_broken_note_beside_the_graph_leaves_the_graph() -> None:
    for note in ("{", 7, None, ["x"]):
        claim = r.only(w.png_texts(prompt=json.dumps({**r.GRAPH, "extraMetadata": note})))
        assert claim.prompt == r.only(w.png_texts(prompt=json.dumps(r.GRAPH))).prompt


def test_a_node_that_calls_a_service_has_the_prompt() -> None:
    graph = {"1": {"class_type": "OpenAIGPTImage1", "inputs": {"prompt": "a red kite", "seed": 5}}}
    claim = r.only(w.png_texts(prompt=json.dumps(graph)))
    assert (claim.tool, claim.prompt, claim.seed) == ("ComfyUI", "a red kite", "5")


def test_nodes_inside_subgraphs_of_an_editor_graph() -> None:
    inner = [
        {"type": "UNETLoader", "widgets_values": ["z_image_turbo.safetensors", "default"]},
        {"type": "CLIPTextEncode", "widgets_values": ["fox in fog"]},
        {"type": "KSampler", "widgets_values": [987, "randomize", 9, 1, "res_multistep", "simple", 1]},
    ]
    workflow = {"nodes": [{"type": "x-y"}], "links": [], "definitions": {"subgraphs": [{"nodes": inner}, 3]}}
    claim = r.only(w.png_texts(workflow=json.dumps(workflow)))
    assert (claim.prompt, claim.model, claim.seed) == ("fox in fog", "z_image_turbo.safetensors", "987")


def test_stable_diffusion_cpp_names_a_network_of_its_own_file() -> None:
    tail = "Steps: 20, Seed: 42, Size: 64x64, Model: , Sampler: euler, Unet: flux1.gguf, Version: stable-diffusion.cpp"
    claim = r.only(w.png_texts(parameters=f"a boat\n{tail}"))
    assert (claim.tool, claim.model) == ("stable-diffusion.cpp", "flux1.gguf")


def test_novelais_texts_in_one_object_keep_their_source() -> None:
    texts = {"Software": "NovelAI", "Source": "NovelAI Diffusion V4.5", "Comment": json.dumps({"v4_prompt": {}})}
    claim = r.only(w.webp((b"EXIF", w.tiff(exif=[w.user_comment(json.dumps(texts))]))))
    assert (claim.tool, claim.model) == ("NovelAI", "NovelAI Diffusion V4.5")


def test_the_aigc_label_under_the_short_xmp_header() -> None:
    packet = w.xmp('<TC260:AIGC>{"Label":"1","ProduceID":"p"}</TC260:AIGC>').encode()
    for header in (b"XMP\0XMP\0", b"XMP\0\0\0\0\0"):
        evidence = EmbeddedFieldsDetector().examine(w.upload(w.jpeg(w.segment(0xE1, header + packet))))
        assert evidence.direction is Direction.AI
