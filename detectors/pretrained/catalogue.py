"""Which published weights Signet knows: where they are, under which licence, and what they must contain; data only.

Digests are those of the published files. Where none stands here the file could not be examined when this list was
written: ``signet weights fetch`` then pins what the operator accepted, and nothing unpinned is ever loaded.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from detectors.pretrained.architectures import DDA, NPR, RINE, SAFE, CommunityForensics, UnivFD
from detectors.pretrained.interfaces import Architecture
from detectors.pretrained.perceptual import LINEAR_SHAPES, VGG_SHAPES
from detectors.pretrained.preparation import CLIP_MEAN, CLIP_STD, IMAGENET_MEAN, IMAGENET_STD, PLAIN_MEAN, PLAIN_STD
from detectors.pretrained.preparation import Preparation as Prep
from detectors.pretrained.vision_transformer import Shapes

HUB_URL = "https://huggingface.co/{hub}/resolve/{revision}/{file}"
"""Where the hub serves a file at a commit. Source: huggingface_hub, ``constants.HUGGINGFACE_CO_URL_TEMPLATE``."""
KIB, MIB = 1024, 1024**2


class Kind(StrEnum):
    """What a file is for."""

    DETECTOR = "detector"
    BACKBONE = "backbone"
    MARK_READER = "watermark reader"
    AUTOENCODER = "autoencoder"
    DISTANCE = "distance"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One published set of weights.

    Attributes:
        id: name here; detectors are ``learned.<id>``, readers of marks ``watermark.<id>``.
        title: for people.
        licence: SPDX id or name of the licence of the weights; "none stated" when the authors state none.
        needs_acceptance: whether the licence restricts use, or is missing, so that the operator must accept it.
        paper: where it is described.
        file: name of the file that is loaded, in the installed folder.
        max_bytes: most bytes that are fetched.
        hub: hub id, with ``hub_file``; None when it is elsewhere.
        revision: commit that was examined, or None: the operator names one.
        url: https address without a hub; None when the authors only offer a page (``page``).
        page: where a person finds the weights.
        sha256: digest of the published file, or None.
        digest_source: who says that this is its digest.
        unwrap: keys to follow inside a published checkpoint until the tensors are reached.
        architecture: the network, for detectors.
        preparation: what it is shown, for detectors.
        backbone: id of the entry that holds the rest of the tensors.
        variant: which of a family's readers it is (TrustMark P, Q, B, C).
        holds: tensors that must be in the file, among others, for distances.
        message_bits: length of the messages of a reader that must be told what to look for.
    """

    id: str
    kind: Kind
    title: str
    licence: str
    needs_acceptance: bool
    paper: str
    file: str
    max_bytes: int
    page: str
    hub: str | None = None
    hub_file: str = ""
    revision: str | None = None
    url: str | None = None
    sha256: str | None = None
    digest_source: str = ""
    unwrap: tuple[str, ...] = ()
    architecture: Architecture | None = None
    preparation: Prep | None = None
    backbone: str | None = None
    variant: str = ""
    holds: Shapes | None = None
    message_bits: int | None = None


_CLIP_CROP = Prep(crop=224, mean=CLIP_MEAN, std=CLIP_STD)
"""Central crop, no resize: UniversalFakeDetect validate.py @3bf7228; rine src/utils.py @325a1c9, test transforms."""
_RINE_PAGE = "https://github.com/mever-team/rine"
_RINE_RAW = "https://raw.githubusercontent.com/mever-team/rine/9b7fd5857cc205d0412be6aeee0d7611b95bd620/ckpt/"
_RINE_PAPER = "Koutlis and Papadopoulos 2024, arXiv 2402.19091"
_EXAMINED = "measured on the file at this revision"
_PINNED_BY_OTHERS = "as others pinned it in public repositories; not examined by us"


def _rine(name: str, trained_on: str, *, projections: int, width: int, sha256: str | None) -> Entry:
    return Entry(
        id=f"rine-{name}",
        kind=Kind.DETECTOR,
        title=f"RINE, trained on {trained_on}",
        licence="Apache-2.0",
        needs_acceptance=False,
        paper=_RINE_PAPER,
        file="model.safetensors",
        max_bytes=64 * MIB,
        page=_RINE_PAGE,
        url=f"{_RINE_RAW}model_{name}_trainable.pth",
        revision="9b7fd5857cc205d0412be6aeee0d7611b95bd620",
        sha256=sha256,
        digest_source=_EXAMINED if sha256 else "",
        architecture=RINE(projections=projections, width=width),
        preparation=_CLIP_CROP,
        backbone="clip-vit-l-14",
    )


def _trustmark(variant: str) -> Entry:
    return Entry(
        id=f"trustmark-{variant.lower()}",
        kind=Kind.MARK_READER,
        title=f"TrustMark {variant} decoder, converted to ONNX by the operator",
        licence="MIT",
        needs_acceptance=False,
        paper="Bui et al. 2023, arXiv 2311.18297",
        file="model.onnx",
        max_bytes=256 * MIB,
        page="https://github.com/adobe/trustmark",
        variant=variant,
    )


CATALOGUE: tuple[Entry, ...] = (
    Entry(
        id="community-forensics-384",
        kind=Kind.DETECTOR,
        title="Community Forensics ViT-S/16 at 384 px",
        licence="MIT",
        needs_acceptance=False,
        paper="Park and Owens 2025, arXiv 2411.04125",
        file="model.safetensors",
        max_bytes=128 * MIB,
        page="https://huggingface.co/OwensLab/commfor-model-384",
        hub="OwensLab/commfor-model-384",
        hub_file="model.safetensors",
        revision="6076002bf0d9dd37537f965ee2f06f826c333b61",
        sha256="b89f36275f3bf5e2b040eee36597a8f19db051bff9a473a9cf7b2466284fb387",
        digest_source=_PINNED_BY_OTHERS,
        architecture=CommunityForensics(),
        preparation=Prep(shorter=440, crop=384, mean=IMAGENET_MEAN, std=IMAGENET_STD),  # models.py, preprocess_input
    ),
    Entry(
        id="clip-vit-l-14",
        kind=Kind.BACKBONE,
        title="OpenAI's CLIP ViT-L/14, which UnivFD and RINE look through",
        licence="MIT",
        needs_acceptance=False,
        paper="Radford et al. 2021, arXiv 2103.00020",
        file="model.safetensors",
        max_bytes=2048 * MIB,
        page="https://huggingface.co/timm/vit_large_patch14_clip_224.openai",
        hub="timm/vit_large_patch14_clip_224.openai",
        hub_file="open_clip_model.safetensors",
    ),
    Entry(
        id="univfd",
        kind=Kind.DETECTOR,
        title="UnivFD: a linear layer on CLIP ViT-L/14",
        licence="MIT",
        needs_acceptance=False,
        paper="Ojha, Li and Lee 2023, arXiv 2302.10174",
        file="model.safetensors",
        max_bytes=64 * KIB,
        page="https://github.com/WisconsinAIVision/UniversalFakeDetect",
        url="https://raw.githubusercontent.com/WisconsinAIVision/UniversalFakeDetect/"
        "76a0e3e60a8a06458707a625d269ba815a2e5919/pretrained_weights/fc_weights.pth",
        revision="76a0e3e60a8a06458707a625d269ba815a2e5919",
        sha256="477100745713bcc957beb2b40859536859b6483fd6301b3b9293151b194c7847",
        digest_source=_EXAMINED,
        architecture=UnivFD(),
        preparation=_CLIP_CROP,
        backbone="clip-vit-l-14",
    ),
    _rine("1class", "ProGAN, 1 class", projections=4, width=1024, sha256=None),
    _rine(
        "2class",
        "ProGAN, 2 classes",
        projections=4,
        width=128,
        sha256="680d301b6d191da85b9dabcebf42cd3df20c5c669fa8320c498f835d02bf5ccb",
    ),
    _rine("4class", "ProGAN, 4 classes", projections=2, width=1024, sha256=None),
    _rine("ldm", "latent diffusion", projections=4, width=1024, sha256=None),
    Entry(
        id="dda",
        kind=Kind.DETECTOR,
        title="DDA: DINOv2 ViT-L/14 trained on aligned pairs",
        licence="none stated for the weights; DINOv2 is Apache-2.0",
        needs_acceptance=True,
        paper="Chen et al. 2025, arXiv 2505.14359",
        file="model.safetensors",
        max_bytes=4096 * MIB,
        page="https://github.com/roy-ch/Dual-Data-Alignment",
        unwrap=("model",),
        architecture=DDA(),
        preparation=Prep(crop=336, mean=CLIP_MEAN, std=CLIP_STD),  # Inference/inference.py @80f2789
    ),
    Entry(
        id="npr",
        kind=Kind.DETECTOR,
        title="NPR: neighbouring pixel relationships",
        licence="none stated",
        needs_acceptance=True,
        paper="Tan et al. 2024, arXiv 2312.10461",
        file="model.safetensors",
        max_bytes=64 * MIB,
        page="https://github.com/chuangchuangtan/NPR-DeepfakeDetection",
        architecture=NPR(),
        # test.py @b4e1bfa with data/datasets.py @5dffad0: resize to 256 x 256, no crop (loadSize 256)
        preparation=Prep(square=256, mean=IMAGENET_MEAN, std=IMAGENET_STD),
    ),
    Entry(
        id="safe",
        kind=Kind.DETECTOR,
        title="SAFE: simple preserved and augmented features",
        licence="Apache-2.0",
        needs_acceptance=False,
        paper="Li et al. 2024, arXiv 2408.06741",
        file="model.safetensors",
        max_bytes=64 * MIB,
        page="https://github.com/Ouxiang-Li/SAFE",
        unwrap=("model",),
        architecture=SAFE(),
        # scripts/eval.sh and data/datasets.py @46801ca: central crop of 256 px, no normalisation
        preparation=Prep(crop=256, mean=PLAIN_MEAN, std=PLAIN_STD),
    ),
    Entry(
        id="vgg16-imagenet",
        kind=Kind.DISTANCE,
        title="VGG-16 trained on ImageNet, for LPIPS",
        licence="BSD-3-Clause",
        needs_acceptance=False,
        paper="Simonyan and Zisserman 2015, arXiv 1409.1556",
        file="model.safetensors",
        max_bytes=1024 * MIB,
        page="https://download.pytorch.org/models/vgg16-397923af.pth",
        url="https://download.pytorch.org/models/vgg16-397923af.pth",
        sha256="397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
        digest_source=_PINNED_BY_OTHERS,
        holds=VGG_SHAPES,
    ),
    Entry(
        id="lpips-vgg",
        kind=Kind.DISTANCE,
        title="LPIPS 0.1 for VGG-16: weights of the channels (weights/v0.1/vgg.pth)",
        licence="BSD-2-Clause",
        needs_acceptance=False,
        paper="Zhang et al. 2018, arXiv 1801.03924",
        file="model.safetensors",
        max_bytes=64 * KIB,
        page="https://github.com/richzhang/PerceptualSimilarity",
        sha256="a78928a0af1e5f0fcb1f3b9e8f8c3a2a5a3de244d830ad5c1feddc79b8432868",
        digest_source="measured on the package lpips 0.1.4",
        holds=LINEAR_SHAPES,
    ),
    *(_trustmark(variant) for variant in "PQBC"),
    Entry(
        id="rivagan",
        kind=Kind.MARK_READER,
        title="rivaGan decoder of invisible-watermark, ONNX",
        licence="MIT",
        needs_acceptance=False,
        paper="Zhang et al. 2019, arXiv 1909.01285",
        file="model.onnx",
        max_bytes=64 * MIB,
        page="https://github.com/ShieldMnt/invisible-watermark",
        message_bits=32,
    ),
    Entry(
        id="videoseal-256",
        kind=Kind.MARK_READER,
        title="Meta Seal: Video Seal 256 bit, or a Pixel Seal export of the same form, TorchScript",
        licence="MIT",
        needs_acceptance=False,
        paper="Fernandez et al. 2024, arXiv 2412.09492; Pixel Seal: arXiv 2512.16874",
        file="model.jit",
        max_bytes=2048 * MIB,
        page="https://github.com/facebookresearch/videoseal",
        url="https://dl.fbaipublicfiles.com/videoseal/y_256b_img.jit",
        message_bits=256,
    ),
)


def entry_of(name: str) -> Entry | None:
    """Return the entry with this id, or None."""
    return next((entry for entry in CATALOGUE if entry.id == name), None)
