"""Every tool's own record, in every container it is written to, gives the right name and settings."""

import gzip
import json

import pytest

from detectors.evidence import Direction, Evidence, Grade
from detectors.metadata.fields import EmbeddedFields
from detectors.metadata.generator_traces import GeneratorTracesDetector, find_claims
from detectors.metadata.parsers.claim import Claim
from detectors.metadata.readers.container import read_embedded_fields
from tests.detectors.metadata import writers as w

INFOTEXT = (
    "a lighthouse at dusk, (waves:1.2), <lora:sea:0.8>\nsecond line of the prompt\n"
    "Negative prompt: blurry, text,\nwatermark\n"
    "Steps: 28, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 7.5, Seed: 2895438046, Size: 512x768, "
    'Model hash: 6ce0161689, Model: dreamy_v3, Lora hashes: "sea: 0123abcd, sky: 4567", {tail}'
)
GRAPH = {
    "3": {
        "class_type": "KSampler",
        "inputs": {
            "seed": 156680208700286,
            "steps": 20,
            "cfg": 8.0,
            "sampler_name": "euler",
            "scheduler": "normal",
            "denoise": 1,
            "model": ["10", 0],
            "positive": ["6", 0],
            "negative": ["7", 0],
            "latent_image": ["5", 0],
        },
    },
    "4": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "sd_xl_base_1.0.safetensors"}},
    "5": {"class_type": "EmptyLatentImage", "inputs": {"width": 1024, "height": 832, "batch_size": 1}},
    "6": {"class_type": "CLIPTextEncode", "inputs": {"text": ["11", 0], "clip": ["4", 1]}},
    "7": {"class_type": "CLIPTextEncode", "inputs": {"text": "blurry", "clip": ["4", 1]}},
    "10": {
        "class_type": "LoraLoader",
        "inputs": {"lora_name": "lion.safetensors", "model": ["4", 0], "clip": ["4", 1]},
    },
    "11": {"class_type": "PrimitiveString", "inputs": {"value": "a majestic lion"}},
}
EDITOR = {
    "last_node_id": 9,
    "last_link_id": 9,
    "nodes": [
        {"id": 4, "type": "CheckpointLoaderSimple", "widgets_values": ["base.safetensors"]},
        {"id": 3, "type": "KSampler", "widgets_values": [77, "fixed", 12, 5.5, "dpmpp_2m", "karras", 1]},
        {"id": 6, "type": "CLIPTextEncode", "widgets_values": ["an owl"]},
        {"id": 7, "type": "CLIPTextEncode", "widgets_values": ["text"]},
        {"id": 5, "type": "EmptyLatentImage", "widgets_values": [640, 480, 1]},
    ],
}
INVOKE = {
    "app_version": "5.4.0",
    "generation_mode": "sdxl_txt2img",
    "positive_prompt": "oil painting of a harbour",
    "negative_prompt": "grainy",
    "width": 1024,
    "height": 768,
    "seed": 3293022630,
    "cfg_scale": 8.0,
    "steps": 35,
    "scheduler": "euler",
    "model": {"name": "juggernautXL", "base": "sdxl"},
}
INVOKE_2 = {
    "model": "stable diffusion",
    "model_weights": "deliberate",
    "app_id": "invoke-ai/InvokeAI",
    "app_version": "2.3.0",
    "image": {
        "prompt": [{"prompt": "a bridge [fog, people]", "weight": 1.0}],
        "steps": 50,
        "cfg_scale": 5,
        "height": 768,
        "width": 512,
        "seed": 2980747362,
        "sampler": "k_lms",
    },
}
FOOOCUS = {
    "prompt": "a smiling goldfish",
    "negative_prompt": "anime",
    "base_model": "juggernautXL_v8",
    "sharpness": 2,
    "styles": "['Fooocus V2']",
    "performance": "Speed",
    "seed": "6952411511246973023",
    "steps": 30,
    "sampler": "dpmpp_2m_sde_gpu",
    "guidance_scale": 4.0,
    "resolution": "(768, 1280)",
    "version": "Fooocus v2.4.3",
}
NOVELAI = {
    "prompt": "cat, space",
    "steps": 28,
    "height": 1216,
    "width": 832,
    "scale": 5.0,
    "seed": 2253955223,
    "sampler": "k_euler_ancestral",
    "uc": "lowres",
    "request_type": "PromptGenerateRequest",
    "signed_hash": "xyz",
}
SWARM = {
    "sui_image_params": {
        "prompt": "a cat on a roof",
        "negativeprompt": "dog",
        "model": "flux-dev",
        "seed": 882695506,
        "steps": 28,
        "cfgscale": 6.5,
        "width": 1216,
        "height": 768,
        "sampler": "euler",
        "swarm_version": "0.9.8.1",
    },
    "sui_extra_data": {"date": "2025-02-01"},
}
DRAW_THINGS = {
    "c": "a kite",
    "uc": "rain",
    "model": "sdxl_base.ckpt",
    "sampler": "DPM++ 2M Karras",
    "scale": 7.5,
    "seed": 42,
    "seed_mode": "Scale Alike",
    "size": "768x512",
    "steps": 25,
    "strength": 1,
}
EASY = {
    "Prompt": "a red barn",
    "Negative Prompt": "cars",
    "Seed": "99",
    "Stable Diffusion model": "C:\\models\\barn.ckpt",
    "Sampler": "euler_a",
    "Width": "512",
    "Height": "640",
    "Steps": "25",
    "Guidance Scale": "7.5",
}
EASY_SNAKE = {
    "prompt": "a red barn",
    "negative_prompt": "cars",
    "seed": 99,
    "use_stable_diffusion_model": "models/barn.ckpt",
    "sampler_name": "euler_a",
    "width": 512,
    "height": 640,
    "num_inference_steps": 25,
    "guidance_scale": 7.5,
}
MIDJOURNEY = (
    "a mouse in pastel -- really soft, poster art --chaos 50 --ar 9:16 --no frame, text --style raw --v 6.1 "
    "Job ID: 18d94930-8cc0-4467-989f-49b3e5e5d61b"
)
MOCHI = (
    "Include in Image: a red; blue cube; Exclude from Image: fog; Model: sd-2-1; Steps: 8; Guidance Scale: 4.5; "
    "Seed: 42; Size: 64x32; Scheduler: DPM-Solver++; ML Compute Unit: CPU & GPU; Generator: Mochi Diffusion 5.2"
)


def info(tail: str) -> str:
    return INFOTEXT.replace("{tail}", tail)


def only(data: bytes) -> Claim:
    """The first claim of a file."""
    claims = find_claims(read_embedded_fields(data))
    assert claims, "no claim"
    return claims[0]


def examine(data: bytes) -> Evidence:
    return GeneratorTracesDetector().examine(w.upload(data))


@pytest.mark.parametrize(
    ("tail", "tool"),
    [
        ("Version: v1.10.1", "AUTOMATIC1111 Stable Diffusion WebUI"),
        ("Version: f2.0.1v1.10.1-previous-659", "Stable Diffusion WebUI Forge"),
        ("Version: neo", "Stable Diffusion WebUI Forge Neo"),
        ("App: SD.Next, Version: 8b73cb6", "SD.Next"),
        ("RNG: cuda, Version: stable-diffusion.cpp", "stable-diffusion.cpp"),
        ("Version: ComfyUI", "ComfyUI"),
        ("Version: Fooocus v2.5.5", "Fooocus"),
        (
            'Created Date: 2024-12-22T01:01:01Z, Civitai resources: [{"type":"checkpoint","modelVersionId":1,'
            '"modelName":"Some, Model"}], Civitai metadata: {}',
            "Civitai",
        ),
        ("Clip skip: 2", "AUTOMATIC1111 Stable Diffusion WebUI"),
    ],
)
def test_infotext_names_its_tool_and_keeps_every_setting(tail: str, tool: str) -> None:
    claim = only(w.png_texts(parameters=info(tail)))
    assert claim.tool == tool
    assert claim.prompt == "a lighthouse at dusk, (waves:1.2), <lora:sea:0.8>\nsecond line of the prompt"
    assert claim.negative_prompt == "blurry, text,\nwatermark"
    assert (claim.seed, claim.steps, claim.sampler) == ("2895438046", "28", "DPM++ 2M")
    assert (claim.cfg, claim.size, claim.model) == ("7.5", "512x768", "dreamy_v3")
    assert dict(claim.extra)["Lora hashes"] == "sea: 0123abcd, sky: 4567"


def test_a_civitai_picture_without_a_model_setting_takes_it_from_the_resources() -> None:
    text = (
        "a car Negative prompt: Steps: 23, Sampler: Undefined, CFG scale: 3.5, Seed: 1760020955, Size: 832x1216, "
        'Civitai resources: [{"type":"lora","modelName":"x"},{"type":"checkpoint","modelName":"Z, Image"}], '
        "Civitai metadata: {}"
    )
    claim = only(w.png_texts(parameters=text))
    assert (claim.tool, claim.model, claim.prompt, claim.negative_prompt) == ("Civitai", "Z, Image", "a car", None)


def test_an_infotext_without_a_tool_name_says_so() -> None:
    assert ("tool", "not named; other tools write the same form") in only(w.png_texts(parameters=info("ENSD: 1"))).extra


@pytest.mark.parametrize(
    "data",
    [
        w.jpeg_exif(exif=[w.user_comment(info("Version: v1.9"))]),
        w.jpeg_exif(exif=[w.user_comment(info("Version: v1.9"), encoding="utf-16-le")], order=">"),
        w.jpeg_exif(exif=[w.user_comment(info("Version: v1.9"), encoding="utf-16-le")], order="<"),
        w.jpeg_exif(exif=[w.user_comment(info("Version: v1.9"), code=b"ASCII\0\0\0", encoding="ascii")]),
        w.webp((b"EXIF", w.tiff(exif=[w.user_comment(info("Version: v1.9"))]))),
        w.webp((b"EXIF", b"Exif\0\0" + w.tiff(exif=[w.user_comment(info("Version: v1.9"))]))),
        w.png(w.ztext_chunk("parameters", info("Version: v1.9").encode())),
        w.png(w.text_chunk("parameters", info("Version: v1.9"))),
        w.png(w.itext_chunk("parameters", info("Version: v1.9"), compressed=True)),
        w.gif(info("Version: v1.9").encode()),
        w.jpeg(w.segment(0xFE, info("Version: v1.9").encode())),
    ],
    ids=[
        "utf16be",
        "utf16le-in-MM",
        "utf16le-in-II",
        "ascii",
        "webp",
        "webp-exif0",
        "zTXt",
        "tEXt",
        "iTXt-z",
        "gif",
        "com",
    ],
)
def test_infotext_is_found_in_every_container(data: bytes) -> None:
    claim = only(data)
    assert (claim.tool, claim.seed, claim.model) == ("AUTOMATIC1111 Stable Diffusion WebUI", "2895438046", "dreamy_v3")


@pytest.mark.parametrize(
    "data",
    [
        w.png_texts(prompt=json.dumps(GRAPH), workflow=json.dumps(EDITOR)),
        w.webp((b"EXIF", w.tiff([w.ascii_entry(0x0110, "prompt:" + json.dumps(GRAPH))]))),
        w.webp((b"EXIF", w.tiff([w.ascii_entry(0x010F, "Prompt: " + json.dumps(GRAPH))]))),
        w.jpeg_exif(exif=[w.user_comment(json.dumps({"prompt": GRAPH, "workflow": EDITOR}))]),
        w.png_texts(Comment=json.dumps({"prompt": json.dumps(GRAPH)})),
    ],
    ids=["png", "webp-model", "webp-make", "jpeg-comment", "nested-text"],
)
def test_comfyui_follows_the_graph(data: bytes) -> None:
    claim = only(data)
    assert claim.tool == "ComfyUI"
    assert (claim.prompt, claim.negative_prompt) == ("a majestic lion", "blurry")
    assert (claim.seed, claim.steps, claim.cfg, claim.sampler) == ("156680208700286", "20", "8", "euler")
    assert (claim.model, claim.size) == ("sd_xl_base_1.0.safetensors", "1024x832")
    assert dict(claim.extra)["loras"] == "lion.safetensors"


def test_comfyui_editor_graph_alone_is_enough() -> None:
    claim = only(w.webp((b"EXIF", w.tiff([w.ascii_entry(0x010F, "workflow:" + json.dumps(EDITOR))]))))
    assert (claim.tool, claim.prompt, claim.negative_prompt) == ("ComfyUI", "an owl", "text")
    assert (claim.seed, claim.steps, claim.sampler, claim.model) == ("77", "12", "dpmpp_2m", "base.safetensors")
    assert claim.size == "640x480"


def test_comfyui_with_separate_noise_and_guider_nodes() -> None:
    graph = {
        "1": {"class_type": "SamplerCustomAdvanced", "inputs": {
            "noise": ["2", 0], "guider": ["3", 0], "sampler": ["4", 0], "sigmas": ["5", 0], "latent_image": ["6", 0]}},
        "2": {"class_type": "RandomNoise", "inputs": {"noise_seed": 451}},
        "3": {"class_type": "BasicGuider", "inputs": {"model": ["7", 0], "conditioning": ["8", 0]}},
        "4": {"class_type": "KSamplerSelect", "inputs": {"sampler_name": "heun"}},
        "5": {"class_type": "BasicScheduler", "inputs": {"scheduler": "simple", "steps": 9, "model": ["7", 0]}},
        "6": {"class_type": "EmptySD3LatentImage", "inputs": {"width": 896, "height": 1152}},
        "7": {"class_type": "UNETLoader", "inputs": {"unet_name": "flux1-dev.sft"}},
        "8": {"class_type": "FluxGuidance", "inputs": {"guidance": 3.5, "conditioning": ["9", 0]}},
        "9": {"class_type": "CLIPTextEncodeFlux", "inputs": {"clip_l": "", "t5xxl": "tall ship", "clip": ["7", 0]}},
    }  # fmt: skip
    claim = only(w.png_texts(prompt=json.dumps(graph)))
    assert (claim.prompt, claim.seed, claim.steps, claim.sampler) == ("tall ship", "451", "9", "heun")
    assert (claim.model, claim.size, claim.cfg) == ("flux1-dev.sft", "896x1152", "3.5")


@pytest.mark.parametrize(
    ("texts", "model", "prompt", "negative", "size"),
    [
        ({"invokeai_metadata": json.dumps(INVOKE)}, "juggernautXL", "oil painting of a harbour", "grainy", "1024x768"),
        ({"sd_DASH_metadata": json.dumps(INVOKE_2)}, "deliberate", "a bridge", "fog, people", "512x768"),
        (
            {"Dream": '"a bridge [fog, people]" -s 50 -S 2980747362 -W 512 -H 768 -C 5 -A k_lms'},
            None,
            "a bridge",
            "fog, people",
            "512x768",
        ),
    ],
)
def test_invokeai_in_its_three_forms(
    texts: dict[str, str], model: str | None, prompt: str, negative: str, size: str
) -> None:
    claim = only(w.png_texts(**texts))
    assert (claim.tool, claim.model, claim.prompt, claim.negative_prompt) == ("InvokeAI", model, prompt, negative)
    assert claim.size == size
    assert claim.seed in ("3293022630", "2980747362")


@pytest.mark.parametrize(
    "data",
    [
        w.png_texts(parameters=json.dumps(FOOOCUS), fooocus_scheme="fooocus"),
        w.png_texts(parameters=json.dumps(FOOOCUS)),
        w.jpeg_exif(
            w.ascii_entry(0x0131, "Fooocus v2.4.3"),
            exif=[w.user_comment(json.dumps(FOOOCUS)), (0x927C, 7, b"fooocus")],
        ),
        w.png_texts(Comment=json.dumps({key.replace("_", " ").title(): value for key, value in FOOOCUS.items()})),
    ],
    ids=["png", "png-unmarked", "jpeg", "title-case"],
)
def test_fooocus(data: bytes) -> None:
    claim = only(data)
    assert (claim.tool, claim.prompt, claim.negative_prompt) == ("Fooocus", "a smiling goldfish", "anime")
    assert (claim.seed, claim.model, claim.size) == ("6952411511246973023", "juggernautXL_v8", "768x1280")


def test_fooocus_in_its_infotext_scheme_and_its_fork() -> None:
    assert only(w.png_texts(parameters=info("ENSD: 0"), fooocus_scheme="a1111")).tool == "Fooocus"
    fork = {**FOOOCUS, "software": "RuinedFooocus"}
    assert only(w.png_texts(parameters=json.dumps(fork))).tool == "RuinedFooocus"


def test_novelai_in_text_and_in_webp() -> None:
    texts = {"Title": "AI generated image", "Software": "NovelAI", "Source": "NovelAI Diffusion V4 37442FCA"}
    for data in (
        w.png_texts(**texts, Comment=json.dumps(NOVELAI)),
        w.webp((b"EXIF", w.tiff(exif=[w.user_comment(json.dumps({"Comment": json.dumps(NOVELAI)}))]))),
    ):
        claim = only(data)
        assert (claim.tool, claim.prompt, claim.negative_prompt, claim.size) == (
            "NovelAI",
            "cat, space",
            "lowres",
            "832x1216",
        )
    assert only(w.png_texts(**texts, Comment=json.dumps(NOVELAI))).model == "NovelAI Diffusion V4 37442FCA"


@pytest.mark.parametrize("magic", [b"stealth_pngcomp", b"stealth_pnginfo"])
def test_novelai_hidden_in_alpha(magic: bytes) -> None:
    record = json.dumps({"Software": "NovelAI", "Source": "V3", "Comment": json.dumps(NOVELAI)}).encode()
    payload = gzip.compress(record) if magic.endswith(b"comp") else record
    evidence = examine(w.plain("PNG", w.hidden_alpha(payload, magic)))
    assert evidence.generator == "NovelAI"
    assert any(line.name == "prompt" and line.value == "cat, space" for line in evidence.observations)
    assert all("alpha" in line.where for line in evidence.observations)


@pytest.mark.parametrize("magic", [b"stealth_rgbcomp", b"stealth_rgbinfo"])
def test_infotext_hidden_in_colour(magic: bytes) -> None:
    record = info("Version: v1.9").encode()
    payload = gzip.compress(record) if magic.endswith(b"comp") else record
    evidence = examine(w.plain("PNG", w.hidden_colour(payload, magic)))
    assert evidence.generator == "AUTOMATIC1111 Stable Diffusion WebUI"


def test_swarmui_in_png_and_jpeg() -> None:
    for data in (w.png_texts(parameters=json.dumps(SWARM)), w.jpeg_exif(exif=[w.user_comment(json.dumps(SWARM))])):
        claim = only(data)
        assert (claim.tool, claim.prompt, claim.negative_prompt) == ("SwarmUI", "a cat on a roof", "dog")
        assert (claim.seed, claim.cfg, claim.size, claim.model) == ("882695506", "6.5", "1216x768", "flux-dev")


def test_draw_things_in_xmp_and_exif() -> None:
    text = json.dumps(DRAW_THINGS).replace("&", "&amp;")
    for data in (
        w.png_xmp(
            w.xmp(
                f"<exif:UserComment><rdf:Alt><rdf:li xml:lang='x-default'>{text}</rdf:li></rdf:Alt></exif:UserComment>"
            )
        ),
        w.jpeg_exif(exif=[w.user_comment(text, code=b"ASCII\0\0\0", encoding="ascii")]),
    ):
        claim = only(data)
        assert (claim.tool, claim.prompt, claim.negative_prompt, claim.size) == (
            "Draw Things",
            "a kite",
            "rain",
            "768x512",
        )


def test_easy_diffusion_in_both_spellings() -> None:
    for data in (
        w.png(*(w.text_chunk(key, text) for key, text in EASY.items())),
        w.png(*(w.text_chunk(key, str(text)) for key, text in EASY_SNAKE.items())),
        w.jpeg_exif(exif=[w.user_comment(json.dumps(EASY_SNAKE))]),
    ):
        claim = only(data)
        assert (claim.tool, claim.model, claim.prompt, claim.negative_prompt) == (
            "Easy Diffusion",
            "barn.ckpt",
            "a red barn",
            "cars",
        )
        assert (claim.seed, claim.steps, claim.size) == ("99", "25", "512x640")


def test_midjourney_in_png_text_and_xmp() -> None:
    for data in (
        w.png_texts(Description=MIDJOURNEY, Author="someone"),
        w.jpeg_xmp(w.xmp(f"<dc:description><rdf:Alt><rdf:li>{MIDJOURNEY}</rdf:li></rdf:Alt></dc:description>")),
    ):
        claim = only(data)
        assert (claim.tool, claim.model) == ("Midjourney", "Midjourney v6.1")
        assert claim.prompt == "a mouse in pastel -- really soft, poster art"
        assert claim.negative_prompt == "frame, text"
        assert dict(claim.extra)["job id"] == "18d94930-8cc0-4467-989f-49b3e5e5d61b"
        assert dict(claim.extra)["--ar"] == "9:16"


def test_mochi_diffusion_in_iptc_and_both_caption_forms() -> None:
    version_2 = "Metadata Version: 2\n" + MOCHI.replace("; Exclude", "\nExclude").replace("; Model", "\nModel")
    for caption in (MOCHI, version_2):
        claim = only(w.jpeg_iptc(w.iim(d65="Mochi Diffusion", d120=caption)))
        assert (claim.tool, claim.prompt, claim.negative_prompt) == ("Mochi Diffusion", "a red; blue cube", "fog")
        assert (claim.seed, claim.size, claim.model) == ("42", "64x32", "sd-2-1")


def test_openai_labs_signs_in_exif() -> None:
    note = b"OpenAI--ImageGeneration--generation-A508h9iJeFH5ntZLoXGhpwDB\0"
    claim = only(w.png(w.chunk(b"eXIf", w.tiff([(0x927C, 2, note), w.ascii_entry(0x9286, "Made with OpenAI Labs")]))))
    assert claim.tool == "DALL-E 2 (OpenAI Labs)"
    assert claim.extra == (("generation id", "generation-A508h9iJeFH5ntZLoXGhpwDB"),)


def test_flux_script_and_uno() -> None:
    flux = only(
        w.jpeg_exif(
            w.ascii_entry(0x0131, "AI generated;txt2img;flux"),
            w.ascii_entry(0x010F, "Black Forest Labs"),
            w.ascii_entry(0x0110, "flux-schnell"),
            w.ascii_entry(0x010E, "a glass whale"),
        )
    )
    assert (flux.tool, flux.model, flux.prompt) == ("FLUX (Black Forest Labs)", "flux-schnell", "a glass whale")
    call = "prompt='it\\'s, a cup', seed=7, width=512, height=640, guidance=4, num_steps=25"
    uno = only(
        w.jpeg_exif(w.ascii_entry(0x010F, "UNO"), w.ascii_entry(0x0110, "flux-dev"), w.ascii_entry(0x010E, call))
    )
    assert (uno.tool, uno.model, uno.seed, uno.steps, uno.size) == ("UNO (FLUX)", "flux-dev", "7", "25", "512x640")


def test_grok_needs_both_halves() -> None:
    signature = w.ascii_entry(0x010E, "Signature: " + "Ab3/" * 24 + "==")
    artist = w.ascii_entry(0x013B, "0b7a7dcf-0000-4000-8000-1234567890ab")
    assert only(w.jpeg_exif(signature, artist)).tool == "Grok (xAI)"
    assert find_claims(read_embedded_fields(w.jpeg_exif(signature))) == ()
    assert find_claims(read_embedded_fields(w.jpeg_exif(artist))) == ()


def test_iptc_ai_fields() -> None:
    claim = only(
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
    claim = only(w.png(w.chunk(b"caBX", box.replace(b"\x68DALL\xc2\xb7E!", b"\x67DALL\xc2\xb7E"))))
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
    ],
    ids=list("abcdefghijkl"),
)
def test_nothing_is_named_where_nothing_signed(data: bytes) -> None:
    evidence = examine(data)
    assert (evidence.generator, evidence.grade, evidence.direction) == (None, Grade.NEUTRAL, Direction.NONE)


def test_a_full_record_comes_before_a_bare_name_and_both_are_told() -> None:
    data = w.png_texts(Software="Stable Diffusion 1.5", prompt=json.dumps(GRAPH), parameters=info("Version: v1.9"))
    evidence = examine(data)
    assert evidence.generator == "ComfyUI"
    assert "ComfyUI, AUTOMATIC1111 Stable Diffusion WebUI and Stable Diffusion (Stability AI)" in evidence.reason


def test_observations_show_what_is_invisible_and_cut_what_is_long() -> None:
    text = info("Version: v1.9").replace("a lighthouse", "a \u202elighthouse\x00\u200b" + "x" * 5000)
    lines = {line.name: line.value for line in examine(w.png_texts(parameters=text)).observations}
    assert lines["prompt"].startswith("a \\u202elighthouse\\u0000\\u200bxxx")
    assert "more characters" in lines["prompt"]
    assert len(lines["prompt"]) < 2_200


def test_parsers_are_handed_in() -> None:
    def parser(fields: EmbeddedFields) -> Claim | None:
        return Claim(tool="own", where="here") if fields.named("own") else None

    evidence = GeneratorTracesDetector((parser,)).examine(w.upload(w.png_texts(own="x", Software="NovelAI")))
    assert evidence.generator == "own"
