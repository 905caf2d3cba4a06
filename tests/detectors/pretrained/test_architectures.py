"""The functional networks against the libraries' own, and against re-statements as torch modules."""

import importlib.util

import numpy as np
import pytest
from skimage import data

from detectors.pretrained.architectures import DDA, NPR, RINE, SAFE, CommunityForensics, UnivFD
from detectors.pretrained.catalogue import CATALOGUE, Entry, Kind
from detectors.pretrained.perceptual import LINEAR_SHAPES, VGG_SHAPES, layer_distance
from detectors.pretrained.preparation import CLIP_MEAN, CLIP_STD, IMAGENET_MEAN, IMAGENET_STD, Preparation, prepare
from detectors.pretrained.residual_network import HalfResNetShape, diagonal_details, neighbour_residuals
from detectors.pretrained.scoring import require_tensors
from detectors.pretrained.vision_transformer import ViTShape, clip_features, clip_shapes, vit_class_token, vit_shapes
from guard.errors import WeightsError
from tests.detectors.pretrained.restated import RestatedDDA, RestatedHalfResNet, RestatedRINE, state_of

torch = pytest.importorskip("torch")
needs_timm = pytest.mark.skipif(importlib.util.find_spec("timm") is None, reason="timm is absent")
needs_open_clip = pytest.mark.skipif(importlib.util.find_spec("open_clip") is None, reason="open_clip is absent")
TINY = ViTShape(width=24, depth=2, heads=3, patch=8, grid=4)
TINY_DINO = ViTShape(width=24, depth=2, heads=3, patch=14, grid=5, layer_scale=True)


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(7)
    torch.set_num_threads(1)


def pictures(side: int, count: int = 2) -> "torch.Tensor":
    return torch.randn(count, 3, side, side)


@needs_timm
def test_vit_is_timms() -> None:
    import timm.models.vision_transformer as tvt

    theirs = tvt.VisionTransformer(
        img_size=32, patch_size=8, embed_dim=24, depth=2, num_heads=3, num_classes=1
    ).eval()  # fmt: skip
    state = {f"vit.{name}": value for name, value in theirs.state_dict().items()}
    ours = CommunityForensics(vit=TINY)
    require_tensors(state, ours.shapes(), what="test")
    seen = pictures(32)
    with torch.inference_mode():
        torch.testing.assert_close(ours.logits(ours.folded(state), seen), theirs(seen)[:, 0], atol=1e-5, rtol=1e-4)


@needs_timm
def test_layer_scale_is_timms_and_positions_are_scaled() -> None:
    import timm.models.vision_transformer as tvt

    theirs = tvt.VisionTransformer(
        img_size=70, patch_size=14, embed_dim=24, depth=2, num_heads=3, num_classes=0, init_values=0.3
    ).eval()  # fmt: skip
    state = theirs.state_dict()
    require_tensors(state, vit_shapes(TINY_DINO), what="test")
    with torch.inference_mode():
        seen = pictures(70)
        torch.testing.assert_close(
            vit_class_token(state, TINY_DINO, seen), theirs.forward_features(seen)[:, 0], atol=1e-5, rtol=1e-4
        )
        assert vit_class_token(state, TINY_DINO, pictures(42)).shape == (2, 24)


@needs_open_clip
def test_clip_is_open_clips() -> None:
    import open_clip.transformer as oct_

    theirs = oct_.VisionTransformer(
        image_size=32, patch_size=8, width=24, layers=2, heads=3, mlp_ratio=4.0, output_dim=10, act_layer=oct_.QuickGELU
    ).eval()  # fmt: skip
    state = {f"visual.{name}": value for name, value in theirs.state_dict().items()}
    require_tensors(state, clip_shapes(TINY, embedding=10), what="test")
    tokens = []
    for block in theirs.transformer.resblocks:
        block.ln_2.register_forward_hook(lambda module, given, out: tokens.append(out))
    seen = pictures(32)
    with torch.inference_mode():
        vectors, found = clip_features(state, TINY, seen)
        torch.testing.assert_close(vectors, theirs(seen), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(found, torch.stack([t[:, 0] for t in tokens], dim=1), atol=1e-5, rtol=1e-4)


def random_state(shapes: dict[str, tuple[int, ...]]) -> dict[str, "torch.Tensor"]:
    return {name: 0.3 * torch.randn(shape) for name, shape in shapes.items()}


def test_univfd_is_a_linear_layer_on_the_vector_that_is_not_normalised() -> None:
    ours = UnivFD(clip=TINY, embedding=10)
    state = random_state(ours.backbone_shapes()) | random_state(ours.shapes())
    seen = pictures(32)
    with torch.inference_mode():
        vectors, _ = clip_features(state, TINY, seen)
        wanted = vectors @ state["weight"][0] + state["bias"][0]
        torch.testing.assert_close(ours.logits(state, seen), wanted)


def test_rine_is_its_restatement() -> None:
    ours = RINE(clip=TINY, embedding=10, projections=2, width=12)
    restated = RestatedRINE(layers=2, entering=24, projections=2, width=12).eval()
    state = random_state(ours.backbone_shapes()) | state_of(restated)
    require_tensors(state_of(restated), ours.shapes(), what="test")
    seen = pictures(32)
    with torch.inference_mode():
        _, tokens = clip_features(state, TINY, seen)
        torch.testing.assert_close(ours.logits(state, seen), restated(tokens)[:, 0], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("side", [70, 42])
def test_dda_is_its_restatement(side: int) -> None:
    ours = DDA(vit=TINY_DINO, rank=3, alpha=1.5)
    restated = RestatedDDA(width=24, depth=2, heads=3, patch=14, grid=5, rank=3, alpha=1.5).eval()
    state = state_of(restated)
    require_tensors(state, ours.shapes(), what="test")
    seen = pictures(side)
    with torch.inference_mode():
        wanted = restated(seen)[:, 0]
        torch.testing.assert_close(ours.logits(ours.folded(state), seen), wanted, atol=1e-5, rtol=1e-4)
        without = {k: torch.zeros_like(v) if "lora_B" in k else v for k, v in state.items()}
        assert not torch.allclose(ours.logits(ours.folded(without), seen), wanted, atol=1e-3)


@pytest.mark.parametrize("outputs", [1, 2])
def test_half_resnets_are_their_restatement(outputs: int) -> None:
    shape = HalfResNetShape(base=4, blocks=(2, 1), outputs=outputs)
    restated = RestatedHalfResNet(base=4, blocks=(2, 1), outputs=outputs)
    with torch.no_grad():
        restated.train()(pictures(32, count=8))  # gives the batch norms statistics that are not 0 and 1
    restated.eval()
    state = state_of(restated)
    seen = pictures(32)
    ours = NPR(network=shape) if outputs == 1 else SAFE(network=shape)
    require_tensors(state, ours.shapes(), what="test")
    with torch.inference_mode():
        front = neighbour_residuals(seen) if outputs == 1 else diagonal_details(seen)
        answers = restated(front)
        wanted = answers[:, 0] if outputs == 1 else answers[:, 1] - answers[:, 0]
        torch.testing.assert_close(ours.logits(state, seen), wanted, atol=1e-5, rtol=1e-4)


def test_npr_front_end_is_nearest_interpolation_down_and_up() -> None:
    from torch.nn import functional as nnf

    seen = pictures(16)
    small = nnf.interpolate(seen, scale_factor=0.5, mode="nearest", recompute_scale_factor=True)
    again = nnf.interpolate(small, scale_factor=2.0, mode="nearest", recompute_scale_factor=True)
    torch.testing.assert_close(neighbour_residuals(seen), (seen - again) * 2.0 / 3.0)


def test_wavelet_front_end_is_pywavelets() -> None:
    import pywt

    seen = pictures(20)
    details = pywt.dwt2(seen.numpy(), "bior1.3", mode="symmetric")[1][2]
    wanted = torch.nn.functional.interpolate(torch.from_numpy(details), size=(20, 20), mode="bilinear")
    torch.testing.assert_close(diagonal_details(seen), wanted, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("entry", [e for e in CATALOGUE if e.kind is Kind.DETECTOR], ids=lambda e: e.id)
def test_catalogue_networks_have_the_published_sizes(entry: Entry) -> None:
    millions = {
        "community-forensics-384": 21.8,
        "univfd": 303.2,
        "rine-1class": 315.0,
        "rine-2class": 303.5,
        "rine-4class": 310.7,
        "rine-ldm": 315.0,
        "dda": 306.7,
        "npr": 1.44,
        "safe": 1.44,
    }
    architecture = entry.architecture
    sizes = [
        int(np.prod(shape, dtype=np.int64))
        for shape in (*architecture.shapes().values(), *architecture.backbone_shapes().values())
    ]
    assert sum(sizes) / 1e6 == pytest.approx(millions[entry.id], rel=0.02)


def test_perceptual_distance_is_the_second_layer_of_lpips() -> None:
    from torch import nn

    layers = [nn.Conv2d(3, 64, 3, padding=1), nn.ReLU(), nn.Conv2d(64, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
    vgg = nn.Sequential(
        *layers, nn.Conv2d(64, 128, 3, padding=1), nn.ReLU(), nn.Conv2d(128, 128, 3, padding=1), nn.ReLU()
    )
    linear = torch.rand(1, 128, 1, 1)
    state = {f"features.{name}": value for name, value in vgg.state_dict().items()} | {"lin1.model.1.weight": linear}
    require_tensors(state, VGG_SHAPES | LINEAR_SHAPES, what="test")
    pair = torch.rand(2, 3, 32, 32) * 2 - 1
    shift, scale = torch.tensor([-0.030, -0.088, -0.188]), torch.tensor([0.458, 0.448, 0.450])
    with torch.inference_mode():
        seen = vgg((pair - shift[None, :, None, None]) / scale[None, :, None, None])
        unit = seen / (torch.linalg.vector_norm(seen, dim=1, keepdim=True) + 1e-10)
        wanted = float(((unit[0] - unit[1]) ** 2 * linear[0]).sum(dim=0).mean())
        assert layer_distance(state, pair) == pytest.approx(wanted, rel=1e-4)
        assert layer_distance(state, torch.stack([pair[0], pair[0]])) == 0.0


def test_missing_and_unexpected_tensors_are_named() -> None:
    shapes = NPR(network=HalfResNetShape(base=4, blocks=(1, 1))).shapes()
    state = random_state(shapes)
    state["extra"] = state.pop("fc1.bias")
    state["conv1.weight"] = torch.zeros(5, 3, 3, 3)
    with pytest.raises(
        WeightsError, match=r"missing \(fc1.bias\).*unexpected \(extra\).*\(5, 3, 3, 3\) instead of \(4"
    ):
        require_tensors(state, shapes, what="test")


@pytest.mark.parametrize("size", [(300, 260), (261, 433), (440, 512)])
@pytest.mark.parametrize(
    "preparation",
    [
        Preparation(shorter=440, crop=384, mean=IMAGENET_MEAN, std=IMAGENET_STD),
        Preparation(crop=224, mean=CLIP_MEAN, std=CLIP_STD),
        Preparation(square=256, mean=IMAGENET_MEAN, std=IMAGENET_STD),
    ],
    ids=["community", "clip", "npr"],
)
def test_preparation_is_torchvisions(preparation: Preparation, size: tuple[int, int]) -> None:
    transforms = pytest.importorskip("torchvision.transforms")
    from PIL import Image

    pixels = np.ascontiguousarray(data.astronaut()[: size[0], : size[1]])
    steps = []
    if preparation.shorter:
        steps.append(transforms.Resize(preparation.shorter))
    if preparation.square:
        steps.append(transforms.Resize((preparation.square, preparation.square)))
    if preparation.crop:
        steps.append(transforms.CenterCrop(preparation.crop))
    steps += [transforms.ToTensor(), transforms.Normalize(mean=preparation.mean, std=preparation.std)]
    wanted = transforms.Compose(steps)(Image.fromarray(pixels)).numpy()
    np.testing.assert_allclose(prepare(pixels, preparation), wanted, atol=2e-6)


def test_preparation_in_exact_numbers() -> None:
    pixels = np.arange(4 * 4 * 3, dtype=np.uint8).reshape(4, 4, 3)
    crop = prepare(pixels, Preparation(crop=2, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0)))
    np.testing.assert_allclose(crop[0] * 255, [[15, 18], [27, 30]], rtol=1e-6)
    half = prepare(pixels, Preparation(square=2, mean=(0.0, 0.0, 0.0), std=(0.5, 0.5, 0.5)))
    # Pillow's triangle weighs three values 3 : 3 : 1 and rounds after each direction
    np.testing.assert_allclose(half[1] * 255 / 2, [[12, 17], [30, 35]], rtol=1e-6)
