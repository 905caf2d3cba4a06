"""ComfyUI: the executed graph (``prompt``) and the editor graph (``workflow``) as JSON.

Found in PNG text; in WebP, JPEG and AVIF as EXIF texts with a ``prompt:`` or ``workflow:`` label (Model, Make,
ImageDescription, UserComment ...); in pixels (stealth); in XMP.
Source: ComfyUI nodes.py SaveImage, comfy_extras/nodes_images.py SaveAnimatedWEBP (format only).
"""

from __future__ import annotations

from detectors.metadata.fields import EmbeddedFields, Layer, MetadataField
from detectors.metadata.json_values import as_list, as_object, first_text, parse_object
from detectors.metadata.parsers.claim import Claim
from detectors.metadata.parsers.comfy_graph import MAX_NODES, Graph, editor_settings, graph_settings

_TOOL = "ComfyUI"
_ONLINE_TOOL = "Civitai (ComfyUI)"
_BESIDE_NODES = frozenset({"extra", "extraMetadata"})
"""What Civitai's generator writes into the graph beside its nodes. Source: files of civitai.com (format only)."""
_LABELS = ("prompt:", "workflow:")
_EXIF_KEYS = ("Model", "Make", "ImageDescription", "UserComment", "Software", "Artist", "DocumentName", "HostComputer")
_SLOTS = (
    *((layer, key) for layer in (Layer.TEXT_CHUNK, Layer.HIDDEN) for key in ("prompt", "workflow", "Comment")),
    *((Layer.EXIF, key) for key in _EXIF_KEYS),
    (Layer.XMP, "comfy:prompt"),
    (Layer.XMP, "comfy:workflow"),
    (Layer.XMP, "exif:UserComment"),
    (Layer.XMP, "dc:description"),
    (Layer.COMMENT, "Comment"),
)


def parse_comfyui(fields: EmbeddedFields) -> Claim | None:
    """Return the claim of an executed graph, or of an editor graph when only that is there, or None."""
    graph: tuple[MetadataField, Graph] | None = None
    editor: tuple[MetadataField, dict[str, object]] | None = None
    online: dict[str, str] | None = None
    for found in fields.select(_SLOTS):
        for record in _records(found):
            if graph is None and _is_graph(record):
                graph = (found, {key: as_object(node) for key, node in record.items() if key not in _BESIDE_NODES})
                online = _online_settings(record)
            elif editor is None and _is_editor_graph(record):
                editor = (found, record)
    if graph is not None:
        settings = {**graph_settings(graph[1]), **(online or {})}
        drawn = editor_settings(_editor_nodes(editor[1])) if editor is not None else {}
        if "model" in drawn:
            settings.setdefault("model", drawn["model"])
        tool = _TOOL if online is None else _ONLINE_TOOL
        return _claim(tool, graph[0].where, settings, nodes=len(graph[1]), has_editor=editor is not None)
    if editor is not None:
        nodes = _editor_nodes(editor[1])
        return _claim(_TOOL, editor[0].where, editor_settings(nodes), nodes=len(nodes), has_editor=True)
    return None


def _editor_nodes(record: dict[str, object]) -> list[object]:
    """Return the nodes of an editor graph, then those inside its subgraphs, at most MAX_NODES."""
    nodes = as_list(record.get("nodes"))[:MAX_NODES]
    for subgraph in as_list(as_object(record.get("definitions")).get("subgraphs")):
        room = MAX_NODES - len(nodes)
        if room <= 0:
            break
        nodes = nodes + as_list(as_object(subgraph).get("nodes"))[:room]
    return nodes


def _online_settings(record: dict[str, object]) -> dict[str, str] | None:
    """Return what Civitai's generator wrote beside the nodes of its graph, or None where it wrote nothing."""
    if "extraMetadata" not in record:
        return None
    value = record["extraMetadata"]
    extra = as_object(parse_object(value) if isinstance(value, str) else value)
    names = (
        ("prompt", "prompt"),
        ("negative_prompt", "negativePrompt"),
        ("seed", "seed"),
        ("steps", "steps"),
        ("cfg", "cfgScale"),
        ("sampler", "sampler"),
    )
    return {name: text for name, key in names if (text := first_text(extra, key)) is not None}


def _records(found: MetadataField) -> list[dict[str, object]]:
    """Return the JSON objects a text holds: itself after its label, and one level inside (``{"prompt": {...}}``)."""
    text = stripped = found.text.lstrip()
    for label in _LABELS:
        if text[: len(label)].casefold() == label:
            text = text[len(label) :].lstrip()
            break
    record = parse_object(text) if text is not stripped else found.record
    if record is None:
        return []
    inner: list[dict[str, object]] = []
    for key in ("prompt", "workflow"):
        value = record.get(key)
        nested = parse_object(value) if isinstance(value, str) else value
        if isinstance(nested, dict):
            inner.append(nested)
    return [record, *inner]


def _is_graph(record: dict[str, object]) -> bool:
    """Return whether this is an executed graph: every node an object, at least one with class and inputs."""
    entries = [node for key, node in record.items() if key not in _BESIDE_NODES]
    nodes = [node for node in entries if isinstance(node, dict)]
    return (
        bool(nodes)
        and len(nodes) == len(entries)
        and any(isinstance(node.get("class_type"), str) and isinstance(node.get("inputs"), dict) for node in nodes)
    )


def _is_editor_graph(record: dict[str, object]) -> bool:
    """Return whether this is an editor graph: a list of typed nodes beside ComfyUI's counters or links."""
    nodes = as_list(record.get("nodes"))
    return any(isinstance(as_object(node).get("type"), str) for node in nodes) and any(
        key in record for key in ("last_node_id", "last_link_id", "links")
    )


def _claim(tool: str, where: str, settings: dict[str, str], *, nodes: int, has_editor: bool) -> Claim:
    """Build the claim from what was found in either graph."""
    extra: list[tuple[str, str]] = [
        (key, settings[key]) for key in ("scheduler", "denoise", "loras", "vae") if key in settings
    ]
    extra.append(("nodes", str(nodes)))
    if has_editor:
        extra.append(("workflow", "editor graph present"))
    return Claim(
        tool=tool,
        where=where,
        model=settings.get("model"),
        prompt=settings.get("prompt"),
        negative_prompt=settings.get("negative_prompt"),
        seed=settings.get("seed"),
        steps=settings.get("steps"),
        sampler=settings.get("sampler"),
        cfg=settings.get("cfg"),
        size=settings.get("size"),
        extra=tuple(extra),
    )
