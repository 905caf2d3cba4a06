"""Local interfaces (WebUI family, ComfyUI, InvokeAI, Fooocus, SwarmUI): right name and settings, in every container."""

import json

import pytest

from tests.detectors.metadata import records as r
from tests.detectors.metadata import writers as w


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
    claim = r.only(w.png_texts(parameters=r.info(tail)))
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
    claim = r.only(w.png_texts(parameters=text))
    assert (claim.tool, claim.model, claim.prompt, claim.negative_prompt) == ("Civitai", "Z, Image", "a car", None)


def test_an_infotext_without_a_tool_name_says_so() -> None:
    assert ("tool", "not named; other tools write the same form") in r.only(
        w.png_texts(parameters=r.info("ENSD: 1"))
    ).extra


@pytest.mark.parametrize(
    "data",
    [
        w.jpeg_exif(exif=[w.user_comment(r.info("Version: v1.9"))]),
        w.jpeg_exif(exif=[w.user_comment(r.info("Version: v1.9"), encoding="utf-16-le")], order=">"),
        w.jpeg_exif(exif=[w.user_comment(r.info("Version: v1.9"), encoding="utf-16-le")], order="<"),
        w.jpeg_exif(exif=[w.user_comment(r.info("Version: v1.9"), code=b"ASCII\0\0\0", encoding="ascii")]),
        w.webp((b"EXIF", w.tiff(exif=[w.user_comment(r.info("Version: v1.9"))]))),
        w.webp((b"EXIF", b"Exif\0\0" + w.tiff(exif=[w.user_comment(r.info("Version: v1.9"))]))),
        w.png(w.ztext_chunk("parameters", r.info("Version: v1.9").encode())),
        w.png(w.text_chunk("parameters", r.info("Version: v1.9"))),
        w.png(w.itext_chunk("parameters", r.info("Version: v1.9"), compressed=True)),
        w.gif(r.info("Version: v1.9").encode()),
        w.jpeg(w.segment(0xFE, r.info("Version: v1.9").encode())),
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
    claim = r.only(data)
    assert (claim.tool, claim.seed, claim.model) == ("AUTOMATIC1111 Stable Diffusion WebUI", "2895438046", "dreamy_v3")


@pytest.mark.parametrize(
    "data",
    [
        w.png_texts(prompt=json.dumps(r.GRAPH), workflow=json.dumps(r.EDITOR)),
        w.webp((b"EXIF", w.tiff([w.ascii_entry(0x0110, "prompt:" + json.dumps(r.GRAPH))]))),
        w.webp((b"EXIF", w.tiff([w.ascii_entry(0x010F, "Prompt: " + json.dumps(r.GRAPH))]))),
        w.jpeg_exif(exif=[w.user_comment(json.dumps({"prompt": r.GRAPH, "workflow": r.EDITOR}))]),
        w.png_texts(Comment=json.dumps({"prompt": json.dumps(r.GRAPH)})),
    ],
    ids=["png", "webp-model", "webp-make", "jpeg-comment", "nested-text"],
)
def test_comfyui_follows_the_graph(data: bytes) -> None:
    claim = r.only(data)
    assert claim.tool == "ComfyUI"
    assert (claim.prompt, claim.negative_prompt) == ("a majestic lion", "blurry")
    assert (claim.seed, claim.steps, claim.cfg, claim.sampler) == ("156680208700286", "20", "8", "euler")
    assert (claim.model, claim.size) == ("sd_xl_base_1.0.safetensors", "1024x832")
    assert dict(claim.extra)["loras"] == "lion.safetensors"


def test_comfyui_editor_graph_alone_is_enough() -> None:
    claim = r.only(w.webp((b"EXIF", w.tiff([w.ascii_entry(0x010F, "workflow:" + json.dumps(r.EDITOR))]))))
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
    claim = r.only(w.png_texts(prompt=json.dumps(graph)))
    assert (claim.prompt, claim.seed, claim.steps, claim.sampler) == ("tall ship", "451", "9", "heun")
    assert (claim.model, claim.size, claim.cfg) == ("flux1-dev.sft", "896x1152", "3.5")


@pytest.mark.parametrize(
    ("texts", "model", "prompt", "negative", "size"),
    [
        (
            {"invokeai_metadata": json.dumps(r.INVOKE)},
            "juggernautXL",
            "oil painting",
            "grainy",
            "1024x768",
        ),
        ({"sd_DASH_metadata": json.dumps(r.INVOKE_2)}, "deliberate", "a bridge", "fog, people", "512x768"),
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
    claim = r.only(w.png_texts(**texts))
    assert (claim.tool, claim.model, claim.prompt, claim.negative_prompt) == ("InvokeAI", model, prompt, negative)
    assert claim.size == size
    assert claim.seed in ("3293022630", "2980747362")


@pytest.mark.parametrize(
    "data",
    [
        w.png_texts(parameters=json.dumps(r.FOOOCUS), fooocus_scheme="fooocus"),
        w.png_texts(parameters=json.dumps(r.FOOOCUS)),
        w.jpeg_exif(
            w.ascii_entry(0x0131, "Fooocus v2.4.3"),
            exif=[w.user_comment(json.dumps(r.FOOOCUS)), (0x927C, 7, b"fooocus")],
        ),
        w.png_texts(Comment=json.dumps({key.replace("_", " ").title(): value for key, value in r.FOOOCUS.items()})),
    ],
    ids=["png", "png-unmarked", "jpeg", "title-case"],
)
def test_fooocus(data: bytes) -> None:
    claim = r.only(data)
    assert (claim.tool, claim.prompt, claim.negative_prompt) == ("Fooocus", "a smiling goldfish", "anime")
    assert (claim.seed, claim.model, claim.size) == ("6952411511246973023", "juggernautXL_v8", "768x1280")


def test_fooocus_in_its_infotext_scheme_and_its_fork() -> None:
    assert r.only(w.png_texts(parameters=r.info("ENSD: 0"), fooocus_scheme="a1111")).tool == "Fooocus"
    fork = {**r.FOOOCUS, "software": "RuinedFooocus"}
    assert r.only(w.png_texts(parameters=json.dumps(fork))).tool == "RuinedFooocus"


def test_swarmui_in_png_and_jpeg() -> None:
    for data in (w.png_texts(parameters=json.dumps(r.SWARM)), w.jpeg_exif(exif=[w.user_comment(json.dumps(r.SWARM))])):
        claim = r.only(data)
        assert (claim.tool, claim.prompt, claim.negative_prompt) == ("SwarmUI", "a cat on a roof", "dog")
        assert (claim.seed, claim.cfg, claim.size, claim.model) == ("882695506", "6.5", "1216x768", "flux-dev")


def test_comfyui_in_xmp() -> None:
    graph = json.dumps(r.GRAPH).replace('"', "&quot;")
    packet = w.xmp(f"<c:prompt>{graph}</c:prompt>", namespaces='xmlns:c="https://github.com/Comfy-Org/ComfyUI"')
    for data in (w.png_xmp(packet), w.avif_exif(w.tiff(), packet)):
        claim = r.only(data)
        assert (claim.tool, claim.prompt, claim.seed) == ("ComfyUI", "a majestic lion", "156680208700286")


def test_settings_that_look_like_the_first_one_do_not_cut_the_line() -> None:
    text = "count. Steps: 3, then go\nSteps: 20, Sampler: Euler, Seed: 7, Size: 8x8, Hires Steps: 5, Model: m"
    claim = r.only(w.png_texts(parameters=text))
    assert (claim.prompt, claim.steps, claim.model) == ("count. Steps: 3, then go", "20", "m")


def test_draw_things_caption_without_its_json() -> None:
    text = "a shrine.\nSteps: 30, Sampler: AYS, Guidance Scale: 5.0, Seed: 11, Size: 512x768, Seed Mode: x, Model: f"
    claim = r.only(w.png_xmp(w.xmp(f"<dc:description><rdf:Alt><rdf:li>{text}</rdf:li></rdf:Alt></dc:description>")))
    assert (claim.tool, claim.cfg, claim.prompt) == ("Draw Things", "5.0", "a shrine.")
