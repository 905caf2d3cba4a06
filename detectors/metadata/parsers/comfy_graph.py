"""Settings out of ComfyUI graphs: follow the links from the sampler, never recurse, look at a bounded number of nodes.

An executed graph is ``{id: {"class_type": ..., "inputs": {name: value | [id, slot]}}}``. Custom nodes are countless, so
nodes are told by their input names, not by a list of classes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from types import MappingProxyType
from typing import TypeAlias

from detectors.metadata.json_values import as_list, as_object, as_text

MAX_NODES = 5_000
"""Nodes looked at per graph: a large ComfyUI workflow has about 500."""

Graph: TypeAlias = dict[str, dict[str, object]]
"""Node id -> node object."""

_SEEDS = ("seed", "noise_seed", "rand_seed")
_MODELS = ("ckpt_name", "unet_name", "model_name", "base_ckpt_name", "diffusion_model", "gguf_name")
_TEXTS = ("text", "text_g", "prompt", "positive_prompt", "positive", "string", "value", "t5xxl", "clip_l", "text_l")
_NEGATIVE_TEXTS = ("negative_prompt", "negative", "text", "text_g", "prompt", "string", "value", "t5xxl", "clip_l")
_ANYWHERE: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "seed": _SEEDS,
        "steps": ("steps",),
        "cfg": ("cfg", "guidance"),
        "sampler": ("sampler_name",),
        "scheduler": ("scheduler",),
        "model": _MODELS,
        "vae": ("vae_name",),
    }
)


MAX_STEPS = 50_000
"""Links followed per graph, repeats included: a 500-node workflow needs about 5,000, a hostile one stops here."""
MAX_INPUTS = 200
"""Inputs followed per node: the widest custom nodes have about 60."""


class _Explorer:
    """Reads one graph under a budget of followed links; when it is spent, nothing more is found."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._left = MAX_STEPS
        self._inputs = {
            key: dict(islice(as_object(node.get("inputs")).items(), MAX_INPUTS))
            for key, node in islice(graph.items(), MAX_NODES)
        }
        self._links = {
            key: [target for target in map(_link, inputs.values()) if target in self._inputs]
            for key, inputs in self._inputs.items()
        }

    def settings(self) -> dict[str, str]:
        """Return the settings under stable names: what the sampler leads to first, then what any node has."""
        found: dict[str, str | None] = {}
        sampler = self._sampler()
        if sampler is not None:
            inputs = self._inputs[sampler]
            positive = inputs.get("positive", inputs.get("guider", inputs.get("conditioning")))
            found = {
                "seed": self._resolve(next((inputs[k] for k in _SEEDS if k in inputs), None), _SEEDS),
                "steps": self._resolve(inputs.get("steps"), ("steps", "value", "int")),
                "cfg": self._resolve(inputs.get("cfg"), ("cfg", "value", "float")),
                "sampler": self._resolve(inputs.get("sampler_name"), ("sampler_name",)),
                "scheduler": self._resolve(inputs.get("scheduler"), ("scheduler",)),
                "denoise": as_text(inputs.get("denoise")),
                "prompt": self._prompt(positive, _TEXTS),
                "negative_prompt": self._prompt(inputs.get("negative"), _NEGATIVE_TEXTS),
                "model": self._upstream(inputs.get("model", inputs.get("guider")), _MODELS),
                "size": self._size(self._walk(inputs.get("latent_image", inputs.get("samples")))),
            }
        for key, names in _ANYWHERE.items():
            found[key] = found.get(key) or self._first(names)
        found["prompt"] = found.get("prompt") or self._encoder_text() or self._service_prompt()
        found["size"] = found.get("size") or self._size(self._of_class("latent"))
        loras = (as_text(inputs.get("lora_name")) for inputs in self._inputs.values())
        named = dict.fromkeys(name for name in loras if name and name != "None")
        found["loras"] = ", ".join(islice(named, 16)) or None
        return {key: text for key, text in found.items() if text is not None}

    def _of_class(self, part: str) -> Iterator[dict[str, object]]:
        """Yield the inputs of the nodes whose class contains a word."""
        for key, inputs in self._inputs.items():
            if part in str(self._graph[key].get("class_type", ""))[:200].casefold():
                yield inputs

    def _first(self, names: tuple[str, ...]) -> str | None:
        """Return the first plain value any node has under one of the names."""
        return next((text for i in self._inputs.values() for n in names if (text := as_text(i.get(n)))), None)

    def _encoder_text(self) -> str | None:
        """Return the text of the first text encoder that has one."""
        for inputs in self._of_class("textencode"):
            for name in _TEXTS:
                text = self._resolve(inputs.get(name), _TEXTS)
                if text is not None:
                    return text
        return None

    def _service_prompt(self) -> str | None:
        """Return the prompt of the first node that has one of its own: nodes that call a service have no encoder."""
        found = (self._resolve(inputs["prompt"], _TEXTS) for inputs in self._inputs.values() if "prompt" in inputs)
        return next((text for text in found if text is not None), None)

    def _sampler(self) -> str | None:
        """Return the id of the sampler that says most about the picture: one with a seed, steps and conditioning.

        Among several (upscaling passes) the one at full denoise made the composition, so it wins.
        """
        best: tuple[float, str] | None = None
        for key, inputs in self._inputs.items():
            score = 2.0 * ("positive" in inputs or "guider" in inputs) + any(name in inputs for name in _SEEDS)
            score += ("steps" in inputs) + ("sampler" in str(self._graph[key].get("class_type", ""))[:200].casefold())
            denoise = inputs.get("denoise")
            if isinstance(denoise, int | float) and denoise < 1:
                score -= 0.5
            if score >= 2.5 and (best is None or score > best[0]):
                best = (score, key)
        return best[1] if best else None

    def _walk(self, start: object) -> Iterator[dict[str, object]]:
        """Yield the inputs of the nodes upstream of a link, nearest first, each node once."""
        first = _link(start)
        queue: deque[str] = deque([first] if first is not None else [])
        seen: set[str] = set()
        while queue and self._left > 0:
            key = queue.popleft()
            if key in seen or key not in self._inputs:
                continue
            seen.add(key)
            self._left -= 1 + len(self._links[key])
            yield self._inputs[key]
            queue.extend(self._links[key])

    def _upstream(self, start: object, names: tuple[str, ...]) -> str | None:
        """Return the nearest upstream plain value under one of the names."""
        return next((text for i in self._walk(start) for n in names if (text := as_text(i.get(n)))), None)

    def _resolve(self, value: object, names: tuple[str, ...]) -> str | None:
        """Return a plain value, or the nearest one a link leads to."""
        return as_text(value) or self._upstream(value, names)

    def _prompt(self, start: object, names: tuple[str, ...]) -> str | None:
        """Return the text that feeds a conditioning link: the nearest encoder's own, or the text node behind it."""
        if isinstance(start, str):
            return as_text(start)
        for inputs in self._walk(start):
            for name in names:
                found = self._resolve(inputs[name], names) if name in inputs else None
                if found is not None:
                    return found
        return None

    def _size(self, candidates: Iterable[dict[str, object]]) -> str | None:
        """Return ``WxH`` of the first node that has both."""
        for inputs in candidates:
            width = self._resolve(inputs.get("width"), ("width", "value", "int"))
            height = self._resolve(inputs.get("height"), ("height", "value", "int"))
            if width and height:
                return f"{width}x{height}"
        return None


def graph_settings(graph: Graph) -> dict[str, str]:
    """Return the settings of an executed graph under stable names; what is not there is missing."""
    return _Explorer(graph).settings()


def _link(value: object) -> str | None:
    """Return the node id of a link ``[id, slot]``, or None."""
    if isinstance(value, list) and len(value) == 2 and isinstance(value[0], str | int):
        return str(value[0])
    return None


def editor_settings(nodes: list[object]) -> dict[str, str]:
    """Return the settings of an editor graph, where nodes only have their widget values in order."""
    settings: dict[str, str] = {}
    for node in map(as_object, nodes[:MAX_NODES]):
        kind = str(node.get("type", ""))
        widgets = as_list(node.get("widgets_values"))
        if not widgets:
            continue
        if kind in ("KSampler", "KSampler (Efficient)") and len(widgets) >= 6:
            for key, index in (("seed", 0), ("steps", 2), ("cfg", 3), ("sampler", 4), ("scheduler", 5)):
                _keep(settings, key, widgets[index])
        elif kind.startswith("CLIPTextEncode"):
            _keep(settings, "negative_prompt" if "prompt" in settings else "prompt", widgets[0])
        elif kind.startswith(("CheckpointLoader", "UNETLoader", "UnetLoader")):
            _keep(settings, "model", widgets[0])
        elif kind.startswith("Empty") and "Latent" in kind and len(widgets) >= 2:
            width, height = as_text(widgets[0]), as_text(widgets[1])
            _keep(settings, "size", f"{width}x{height}" if width and height else None)
    return settings


def _keep(settings: dict[str, str], key: str, value: object) -> None:
    """Keep the first value of a setting."""
    text = as_text(value)
    if text is not None:
        settings.setdefault(key, text)
