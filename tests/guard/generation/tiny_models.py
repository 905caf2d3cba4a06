"""Random pipelines of a few thousand weights, saved as ordinary diffusers folders; no network, no downloads.

Only the architecture is real: SD (UNet, one CLIP), SDXL (two CLIPs, added conditions), SD3 (joint transformer, two
CLIPs, T5), FLUX (packed latents, CLIP and T5, optional guidance embedding). All share one autoencoder layout.
"""

from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    DDPMPipeline,
    DDPMScheduler,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    FluxPipeline,
    FluxTransformer2DModel,
    LatentConsistencyModelPipeline,
    LCMScheduler,
    SD3Transformer2DModel,
    StableDiffusion3Pipeline,
    StableDiffusionInpaintPipeline,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
    UNet2DModel,
)
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    PreTrainedTokenizerFast,
    T5Config,
    T5EncoderModel,
)

WORDS = ["a", "red", "blue", "green", "cat", "dog", "house", "sky", "lake", "blurry"]
WIDTH = 16
VAE_SCALE = 4
"""Pixels per latent: two levels below the first."""


def clip_tokenizer() -> CLIPTokenizer:
    letters = [chr(c) for c in range(ord("a"), ord("z") + 1)]
    tokens = [*letters, *[f"{letter}</w>" for letter in letters], "<|startoftext|>", "<|endoftext|>"]
    return CLIPTokenizer(
        vocab={token: index for index, token in enumerate(tokens)},
        merges=[],
        model_max_length=12,
        bos_token="<|startoftext|>",
        eos_token="<|endoftext|>",
        unk_token="<|endoftext|>",
        pad_token="<|endoftext|>",
    )


def t5_tokenizer() -> PreTrainedTokenizerFast:
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -2.0)]
    pieces += [(f"▁{word}", -3.0) for word in WORDS] + [(chr(c), -5.0) for c in range(ord("a"), ord("z") + 1)]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=2))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>", model_max_length=16
    )


def clip(*, projection: bool = False) -> Any:
    config = CLIPTextConfig(
        vocab_size=54,
        hidden_size=WIDTH,
        intermediate_size=2 * WIDTH,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=12,
        projection_dim=WIDTH,
        bos_token_id=52,
        eos_token_id=53,
        pad_token_id=53,
        hidden_act="gelu",
    )
    return (CLIPTextModelWithProjection if projection else CLIPTextModel)(config).eval()


def t5(width: int) -> T5EncoderModel:
    config = T5Config(
        vocab_size=len(t5_tokenizer()),
        d_model=width,
        d_ff=2 * width,
        d_kv=8,
        num_layers=1,
        num_heads=2,
        dropout_rate=0.0,
    )
    return T5EncoderModel(config).eval()


def vae(*, latents: int = 4, levels: int = 3, shift: float | None = None) -> AutoencoderKL:
    return AutoencoderKL(
        block_out_channels=(8,) * levels,
        layers_per_block=1,
        norm_num_groups=4,
        latent_channels=latents,
        down_block_types=("DownEncoderBlock2D",) * levels,
        up_block_types=("UpDecoderBlock2D",) * levels,
        sample_size=32,
        shift_factor=shift,
        scaling_factor=1.0,
        use_quant_conv=shift is None,
        use_post_quant_conv=shift is None,
    ).eval()


def unet(**settings: Any) -> UNet2DConditionModel:
    return UNet2DConditionModel(
        **{
            "sample_size": 8,
            "block_out_channels": (8, 16),
            "layers_per_block": 1,
            "norm_num_groups": 4,
            "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
            "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
            "cross_attention_dim": WIDTH,
            "attention_head_dim": 4,
            **settings,
        }
    ).eval()


def ddim() -> DDIMScheduler:
    return DDIMScheduler(
        beta_schedule="scaled_linear",
        beta_start=0.00085,
        beta_end=0.012,
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
    )


def stable_diffusion(pipeline_class: Any, *, scheduler: Any, **unet_settings: Any) -> Any:
    """Any pipeline class with the components of SD."""
    torch.manual_seed(0)
    return pipeline_class(
        vae=vae(),
        text_encoder=clip(),
        tokenizer=clip_tokenizer(),
        unet=unet(**unet_settings),
        scheduler=scheduler,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def save_sd(folder: Path) -> Path:
    stable_diffusion(StableDiffusionPipeline, scheduler=ddim()).save_pretrained(folder)
    return folder


def save_sd_inpainting(folder: Path) -> Path:
    """A checkpoint whose denoiser also takes the mask and the masked picture."""
    stable_diffusion(StableDiffusionInpaintPipeline, scheduler=ddim(), in_channels=9).save_pretrained(folder)
    return folder


def save_lcm(folder: Path) -> Path:
    """Has no negative prompt and no inpainting class."""
    pipeline = stable_diffusion(
        LatentConsistencyModelPipeline, scheduler=LCMScheduler(steps_offset=1), time_cond_proj_dim=8
    )
    pipeline.save_pretrained(folder)
    return folder


def save_lcm_as_sd(folder: Path) -> Path:
    """The same denoiser under the class of SD, which takes a negative prompt and then ignores it."""
    pipeline = stable_diffusion(StableDiffusionPipeline, scheduler=LCMScheduler(steps_offset=1), time_cond_proj_dim=8)
    pipeline.save_pretrained(folder)
    return folder


def save_unconditional(folder: Path) -> Path:
    """A pipeline that reports no steps."""
    torch.manual_seed(0)
    net = UNet2DModel(
        sample_size=8,
        block_out_channels=(8,),
        layers_per_block=1,
        norm_num_groups=4,
        down_block_types=("DownBlock2D",),
        up_block_types=("UpBlock2D",),
        attention_head_dim=4,
    )
    DDPMPipeline(unet=net, scheduler=DDPMScheduler()).save_pretrained(folder)
    return folder


def save_mini(folder: Path) -> Path:
    """The architecture of signet-mini: 8 latent channels, 16 pixels per latent, v-prediction."""
    torch.manual_seed(0)
    StableDiffusionPipeline(
        vae=vae(latents=8, levels=5),
        text_encoder=clip(),
        tokenizer=clip_tokenizer(),
        unet=unet(in_channels=8, out_channels=8, sample_size=4),
        scheduler=DDIMScheduler(
            beta_schedule="squaredcos_cap_v2",
            prediction_type="v_prediction",
            timestep_spacing="trailing",
            clip_sample=False,
            steps_offset=1,
        ),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    ).save_pretrained(folder)
    return folder


def save_sdxl(folder: Path) -> Path:
    torch.manual_seed(0)
    StableDiffusionXLPipeline(
        vae=vae(),
        text_encoder=clip(),
        text_encoder_2=clip(projection=True),
        tokenizer=clip_tokenizer(),
        tokenizer_2=clip_tokenizer(),
        unet=unet(
            cross_attention_dim=2 * WIDTH,
            addition_embed_type="text_time",
            addition_time_embed_dim=8,
            projection_class_embeddings_input_dim=6 * 8 + WIDTH,
            transformer_layers_per_block=1,
            use_linear_projection=True,
        ),
        scheduler=EulerDiscreteScheduler(beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012),
    ).save_pretrained(folder)
    return folder


def save_sd3(folder: Path) -> Path:
    torch.manual_seed(0)
    StableDiffusion3Pipeline(
        vae=vae(latents=16, shift=0.1),
        text_encoder=clip(projection=True),
        text_encoder_2=clip(projection=True),
        text_encoder_3=t5(2 * WIDTH),
        tokenizer=clip_tokenizer(),
        tokenizer_2=clip_tokenizer(),
        tokenizer_3=t5_tokenizer(),
        transformer=SD3Transformer2DModel(
            sample_size=8,
            patch_size=2,
            in_channels=16,
            out_channels=16,
            num_layers=1,
            attention_head_dim=8,
            num_attention_heads=4,
            joint_attention_dim=2 * WIDTH,
            caption_projection_dim=32,
            pooled_projection_dim=2 * WIDTH,
            pos_embed_max_size=32,
        ).eval(),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
    ).save_pretrained(folder)
    return folder


def save_flux(folder: Path, *, guidance_embeds: bool = True) -> Path:
    torch.manual_seed(0)
    FluxPipeline(
        vae=vae(shift=0.1),
        text_encoder=clip(),
        text_encoder_2=t5(WIDTH),
        tokenizer=clip_tokenizer(),
        tokenizer_2=t5_tokenizer(),
        transformer=FluxTransformer2DModel(
            patch_size=1,
            in_channels=16,
            num_layers=1,
            num_single_layers=1,
            attention_head_dim=16,
            num_attention_heads=2,
            joint_attention_dim=WIDTH,
            pooled_projection_dim=WIDTH,
            axes_dims_rope=(4, 4, 8),
            guidance_embeds=guidance_embeds,
        ).eval(),
        scheduler=FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True),
    ).save_pretrained(folder)
    return folder


def save_schnell(folder: Path) -> Path:
    """FLUX distilled to work without guidance."""
    return save_flux(folder, guidance_embeds=False)


BUILDERS = {
    "sd": save_sd,
    "mini": save_mini,
    "sdxl": save_sdxl,
    "sd3": save_sd3,
    "flux": save_flux,
    "schnell": save_schnell,
    "sd_inpainting": save_sd_inpainting,
    "lcm": save_lcm,
    "lcm_as_sd": save_lcm_as_sd,
    "unconditional": save_unconditional,
}


def save_lora(model: Path, target: Path, *, seed: int) -> Path:
    """A random rank-2 adapter for the attention layers of a saved model's denoiser."""
    from diffusers import DiffusionPipeline
    from peft import LoraConfig
    from peft.utils import get_peft_model_state_dict

    torch.manual_seed(seed)
    pipeline = DiffusionPipeline.from_pretrained(model)
    part = "unet" if getattr(pipeline, "unet", None) is not None else "transformer"
    denoiser = getattr(pipeline, part)
    denoiser.add_adapter(LoraConfig(r=2, lora_alpha=2, target_modules=["to_q", "to_v"], init_lora_weights=False))
    layers = get_peft_model_state_dict(denoiser)
    type(pipeline).save_lora_weights(target.parent, weight_name=target.name, **{f"{part}_lora_layers": layers})
    return target
