"""The published networks said again as plain torch modules, in the way in which their authors divide them."""

import torch
from torch import Tensor, nn
from torch.nn import functional as nnf


def state_of(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in module.state_dict().items()}


class RestatedRINE(nn.Module):
    def __init__(self, *, layers: int, entering: int, projections: int, width: int) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.randn(1, layers, width))

        def projection(first: int) -> nn.Sequential:
            parts: list[nn.Module] = [nn.Dropout()]
            for i in range(projections):
                parts += [nn.Linear(width if i else first, width), nn.ReLU(), nn.Dropout()]
            return nn.Sequential(*parts)

        self.proj1, self.proj2 = projection(entering), projection(width)
        head: list[nn.Module] = []
        for _ in range(2):
            head += [nn.Linear(width, width), nn.ReLU(), nn.Dropout()]
        self.head = nn.Sequential(*head, nn.Linear(width, 1))

    def forward(self, tokens: Tensor) -> Tensor:
        return self.head(self.proj2((torch.softmax(self.alpha, dim=1) * self.proj1(tokens)).sum(dim=1)))


class _Lora(nn.Module):
    def __init__(self, into: int, out: int, rank: int) -> None:
        super().__init__()
        self.lora_A = nn.Parameter(torch.randn(rank, into))
        self.lora_B = nn.Parameter(torch.randn(out, rank))


class _Adapted(nn.Module):
    def __init__(self, into: int, out: int, rank: int, alpha: float) -> None:
        super().__init__()
        self.original_layer = nn.Linear(into, out)
        self.lora = _Lora(into, out, rank)
        self.factor = alpha / rank

    def forward(self, x: Tensor) -> Tensor:
        low = torch.einsum("...d,rd->...r", x, self.lora.lora_A)
        return self.original_layer(x) + self.factor * torch.einsum("...r,or->...o", low, self.lora.lora_B)


class _Gamma(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.rand(width))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gamma


class _Block(nn.Module):
    def __init__(self, width: int, heads: int, rank: int, alpha: float) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width, eps=1e-6), nn.LayerNorm(width, eps=1e-6)
        self.attn = nn.ModuleDict(
            {"qkv": _Adapted(width, 3 * width, rank, alpha), "proj": _Adapted(width, width, rank, alpha)}
        )
        self.mlp = nn.ModuleDict(
            {"fc1": _Adapted(width, 4 * width, rank, alpha), "fc2": _Adapted(4 * width, width, rank, alpha)}
        )
        self.ls1, self.ls2 = _Gamma(width), _Gamma(width)

    def forward(self, x: Tensor) -> Tensor:
        n, t, d = x.shape
        q, k, v = self.attn["qkv"](self.norm1(x)).reshape(n, t, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        attention = ((q @ k.transpose(-2, -1)) * (d // self.heads) ** -0.5).softmax(dim=-1)
        x = x + self.ls1(self.attn["proj"]((attention @ v).transpose(1, 2).reshape(n, t, d)))
        return x + self.ls2(self.mlp["fc2"](nnf.gelu(self.mlp["fc1"](self.norm2(x)))))


class _Dino(nn.Module):
    def __init__(self, *, width: int, depth: int, heads: int, patch: int, grid: int, rank: int, alpha: float) -> None:
        super().__init__()
        self.grid, self.patch = grid, patch
        self.cls_token = nn.Parameter(torch.randn(1, 1, width))
        self.pos_embed = nn.Parameter(torch.randn(1, 1 + grid**2, width))
        self.mask_token = nn.Parameter(torch.randn(1, width))
        self.patch_embed = nn.ModuleDict({"proj": nn.Conv2d(3, width, patch, patch)})
        self.blocks = nn.ModuleList(_Block(width, heads, rank, alpha) for _ in range(depth))
        self.norm = nn.LayerNorm(width, eps=1e-6)

    def forward(self, x: Tensor) -> Tensor:
        rows, columns = x.shape[-2] // self.patch, x.shape[-1] // self.patch
        positions = self.pos_embed
        if (rows, columns) != (self.grid, self.grid):
            table = positions[:, 1:].reshape(1, self.grid, self.grid, -1).permute(0, 3, 1, 2)
            factors = ((rows + 0.1) / self.grid, (columns + 0.1) / self.grid)
            table = nnf.interpolate(table, scale_factor=factors, mode="bicubic")
            positions = torch.cat([positions[:, :1], table.permute(0, 2, 3, 1).reshape(1, rows * columns, -1)], dim=1)
        tokens = self.patch_embed["proj"](x).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.cls_token.expand(len(x), -1, -1), tokens], dim=1) + positions
        for block in self.blocks:
            tokens = block(tokens)
        return self.norm(tokens)[:, 0]


class RestatedDDA(nn.Module):
    def __init__(self, *, width: int, **sizes: float) -> None:
        super().__init__()
        self.base_model = nn.ModuleDict({"model": _Dino(width=width, **sizes), "fc": nn.Linear(width, 1)})

    def forward(self, x: Tensor) -> Tensor:
        return self.base_model["fc"](self.base_model["model"](x))


class _Bottleneck(nn.Module):
    def __init__(self, entering: int, inner: int, stride: int, *, short: bool) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(entering, inner, 1, bias=False), nn.BatchNorm2d(inner)
        self.conv2 = nn.Conv2d(inner, inner, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(inner)
        self.conv3, self.bn3 = nn.Conv2d(inner, 4 * inner, 1, bias=False), nn.BatchNorm2d(4 * inner)
        if short:
            self.downsample = nn.Sequential(
                nn.Conv2d(entering, 4 * inner, 1, stride, bias=False), nn.BatchNorm2d(4 * inner)
            )

    def forward(self, x: Tensor) -> Tensor:
        out = torch.relu(self.bn1(self.conv1(x)))
        out = torch.relu(self.bn2(self.conv2(out)))
        identity = self.downsample(x) if hasattr(self, "downsample") else x
        return torch.relu(self.bn3(self.conv3(out)) + identity)


class RestatedHalfResNet(nn.Module):
    def __init__(self, *, base: int, blocks: tuple[int, int], outputs: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, base, 3, 2, 1, bias=False), nn.BatchNorm2d(base)
        entering, stages = base, []
        for stage, count in enumerate(blocks):
            inner = base * 2**stage
            parts = []
            for i in range(count):
                parts.append(_Bottleneck(entering, inner, 2 if stage and not i else 1, short=i == 0))
                entering = 4 * inner
            stages.append(nn.Sequential(*parts))
        self.layer1, self.layer2 = stages
        self.fc1 = nn.Linear(entering, outputs)

    def forward(self, x: Tensor) -> Tensor:
        x = nnf.max_pool2d(torch.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        x = self.layer2(self.layer1(x))
        return self.fc1(nnf.adaptive_avg_pool2d(x, 1).flatten(1))
