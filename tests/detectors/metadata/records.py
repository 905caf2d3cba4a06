"""Records as the tools write them, and one helper each to embed and to read them."""

from detectors.metadata.generator_traces import find_claims
from detectors.metadata.parsers.claim import Claim
from detectors.metadata.readers.container import read_embedded_fields

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
    "positive_prompt": "oil painting",
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
