"""Settings out of ComfyUI graphs: follow the links from the sampler, never recurse, look at a bounded number of nodes.

An executed graph is ``{id: {"class_type": ..., "inputs": {name: value | [id, slot]}}}``. Custom nodes are countless, so
nodes are told by their input names, not by a list of classes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import TypeAlias

from detectors.metadata.parsers.claim import MAX_NODES, as_list, as_object, as_text

Graph: TypeAlias = dict[str, dict[str, object]]
"""Node id -> node object."""

_SEEDS = ("seed", "noise_seed", "rand_seed")
_MODELS = ("ckpt_name", "unet_name", "model_name", "base_ckpt_name", "diffusion_model", "gguf_name")
_TEXTS = ("text", "text_g", "prompt", "positive_prompt", "positive", "string", "value", "t5xxl", "clip_l", "text_l")
_NEGATIVE_TEXTS = ("negative_prompt", "negative", "text", "text_g", "prompt", "string", "value", "t5xxl", "clip_l")
_PASS = ("conditioning", "samples", "latent", "model")


def graph_settings(graph: Graph) -> dict[str, str]:
    """Return the settings of an executed graph under stable names; what is not there is missing."""
    sampler = _sampler(graph)
    settings: dict[str, str] = {}
    if sampler is not None:
        inputs = as_object(graph[sampler].get("inputs"))
        _put(settings, "seed", _resolve(graph, next((inputs[k] for k in _SEEDS if k in inputs), None), _SEEDS))
        _put(settings, "steps", _resolve(graph, inputs.get("steps"), ("steps", "value", "int")))
        _put(settings, "cfg", _resolve(graph, inputs.get("cfg"), ("cfg", "value", "float")))
        _put(settings, "sampler", _resolve(graph, inputs.get("sampler_name"), ("sampler_name",)))
        _put(settings, "scheduler", _resolve(graph, inputs.get("scheduler"), ("scheduler",)))
        _put(settings, "denoise", as_text(inputs.get("denoise")))
        positive = inputs.get("positive", inputs.get("guider", inputs.get("conditioning")))
        _put(settings, "prompt", _prompt(graph, positive, _TEXTS))
        if "negative" in inputs:
            _put(settings, "negative_prompt", _prompt(graph, inputs["negative"], _NEGATIVE_TEXTS))
        _put(settings, "model", _upstream(graph, inputs.get("model", inputs.get("guider")), _MODELS))
        _put(settings, "size", _size(graph, inputs.get("latent_image", inputs.get("samples"))))
    _fill_from_anywhere(graph, settings)
    return settings


def _put(settings: dict[str, str], key: str, value: str | None) -> None:
    if value is not None:
        settings[key] = value


def _fill_from_anywhere(graph: Graph, settings: dict[str, str]) -> None:
    """Take what the sampler did not lead to from the first node that has it, and list LoRAs and VAE."""
    wanted = {
        "seed": _SEEDS,
        "steps": ("steps",),
        "cfg": ("cfg", "guidance"),
        "sampler": ("sampler_name",),
        "scheduler": ("scheduler",),
        "model": _MODELS,
        "vae": ("vae_name",),
    }
    for key, names in wanted.items():
        if key not in settings:
            _put(settings, key, _first(graph, names))
    if "prompt" not in settings:
        _put(settings, "prompt", _encoder_text(graph))
    if "size" not in settings:
        _put(settings, "size", _size(graph, None))
    loras = [text for text in (as_text(i.get("lora_name")) for i in _inputs(graph)) if text and text != "None"]
    if loras:
        settings["loras"] = ", ".join(dict.fromkeys(loras[:16]))


def _inputs(graph: Graph) -> Iterator[dict[str, object]]:
    """Yield the inputs of up to MAX_NODES nodes."""
    for index, node in enumerate(graph.values()):
        if index >= MAX_NODES:
            return
        yield as_object(node.get("inputs"))


def _first(graph: Graph, names: tuple[str, ...]) -> str | None:
    """Return the first plain value any node has under one of the names."""
    for inputs in _inputs(graph):
        for name in names:
            text = as_text(inputs.get(name))
            if text is not None:
                return text
    return None


def _encoder_text(graph: Graph) -> str | None:
    """Return the text of the first text encoder that has one."""
    for node in list(graph.values())[:MAX_NODES]:
        if "textencode" in str(node.get("class_type", "")).casefold():
            inputs = as_object(node.get("inputs"))
            for name in _TEXTS:
                text = _resolve(graph, inputs.get(name), _TEXTS)
                if text is not None:
                    return text
    return None


def _sampler(graph: Graph) -> str | None:
    """Return the id of the sampler that says most about the picture: one with a seed, steps and conditioning.

    Among several (upscaling passes) the one at full denoise made the composition, so it wins.
    """
    best: tuple[float, str] | None = None
    for index, (key, node) in enumerate(graph.items()):
        if index >= MAX_NODES:
            break
        inputs = as_object(node.get("inputs"))
        score = 2.0 * ("positive" in inputs or "guider" in inputs) + any(name in inputs for name in _SEEDS)
        score += ("steps" in inputs) + ("sampler" in str(node.get("class_type", "")).casefold())
        if score < 3:
            continue
        denoise = inputs.get("denoise")
        if isinstance(denoise, int | float) and denoise < 1:
            score -= 0.5
        if best is None or score > best[0]:
            best = (score, key)
    return best[1] if best else None


def _link(value: object) -> str | None:
    """Return the node id of a link ``[id, slot]``, or None."""
    if isinstance(value, list) and len(value) == 2 and isinstance(value[0], str | int):
        return str(value[0])
    return None


def _walk(graph: Graph, start: object) -> Iterator[dict[str, object]]:
    """Yield the inputs of the nodes upstream of a link, nearest first, each node once."""
    first = _link(start)
    queue: deque[str] = deque([first] if first is not None else [])
    seen: set[str] = set()
    while queue and len(seen) < MAX_NODES:
        key = queue.popleft()
        if key in seen or key not in graph:
            continue
        seen.add(key)
        inputs = as_object(graph[key].get("inputs"))
        yield inputs
        queue.extend(target for target in map(_link, inputs.values()) if target is not None)


def _upstream(graph: Graph, start: object, names: tuple[str, ...]) -> str | None:
    """Return the nearest upstream plain value under one of the names."""
    for inputs in _walk(graph, start):
        for name in names:
            text = as_text(inputs.get(name))
            if text is not None:
                return text
    return None


def _resolve(graph: Graph, value: object, names: tuple[str, ...]) -> str | None:
    """Return a plain value, or the nearest one a link leads to."""
    text = as_text(value)
    return text if text is not None else _upstream(graph, value, names)


def _prompt(graph: Graph, start: object, names: tuple[str, ...]) -> str | None:
    """Return the text that feeds a conditioning link: the nearest encoder's own text, or the text node behind it."""
    text = as_text(start)
    if text is not None:
        return text
    for inputs in _walk(graph, start):
        for name in names:
            if name in inputs and name not in _PASS:
                found = _resolve(graph, inputs[name], names)
                if found is not None:
                    return found
    return None


def _size(graph: Graph, start: object) -> str | None:
    """Return ``WxH`` of the latent: upstream of the sampler first, else of any node that makes an empty one."""
    candidates = list(_walk(graph, start)) or [
        as_object(node.get("inputs"))
        for node in list(graph.values())[:MAX_NODES]
        if "latent" in str(node.get("class_type", "")).casefold()
    ]
    for inputs in candidates:
        width = _resolve(graph, inputs.get("width"), ("width", "value", "int"))
        height = _resolve(graph, inputs.get("height"), ("height", "value", "int"))
        if width and height:
            return f"{width}x{height}"
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
