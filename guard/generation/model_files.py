"""Which files of a pipeline folder are loaded, whether they are safe, and their digest.

Flow: ``resolve_folder`` turns a spec's source into a local folder (hub ids: the snapshot of the pinned commit in the
local cache); ``verify_source`` checks it before any loader parses it and returns the content digest of what will be
loaded. The digest covers ``model_index.json`` and, for each component that is loaded, its weights of the chosen
variant and its configuration and vocabulary files; other variants lying beside them do not change it.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from guard.errors import WeightsError
from guard.generation.model_spec import ModelSpec
from guard.weights import (
    CODE_SUFFIXES,
    PICKLE_SUFFIXES,
    content_digest,
    is_document,
    require_digest,
    sha256_file,
    verify_folder,
)

INDEX_FILE = "model_index.json"
TRUSTED_LIBRARIES = frozenset({"diffusers", "transformers"})
"""Libraries that a component class may come from; ``stable_diffusion`` is a pipeline module of diffusers itself."""
_DROPPED = frozenset({"safety_checker"})
"""Components that are never loaded: our image stage decides and reports; a black picture would hide the finding."""
_SHARD = re.compile(r"-\d{5}-of-\d{5}")


def resolve_folder(spec: ModelSpec) -> Path:
    """Return the local folder of a model.

    Hub ids are looked up in the local cache; only with ``allow_download`` the network is used.

    Raises:
        WeightsError: the folder, or the commit in the cache, does not exist, or could not be downloaded.
    """
    if isinstance(spec.source, Path):
        if not (spec.source / INDEX_FILE).is_file():
            raise WeightsError(
                f"Model {spec.id!r}: {spec.source} is not a diffusers pipeline folder (it has no {INDEX_FILE}).",
                next_step="Point the model at a folder written by save_pretrained, or at a hub id and revision.",
            )
        return spec.source
    import diffusers

    try:
        folder = diffusers.DiffusionPipeline.download(
            spec.source,
            revision=spec.revision,
            variant=spec.variant,
            use_safetensors=True,
            cache_dir=spec.cache_dir,
            local_files_only=not spec.allow_download,
            **dict.fromkeys(spec.skip_components),
        )
    except (OSError, ValueError) as exc:
        raise WeightsError(
            f"Model {spec.id!r}: commit {spec.revision} of {spec.source} is not in the local cache"
            + (" and could not be downloaded." if spec.allow_download else " and downloads are off."),
            next_step="Download it once with allow_download, or point the model at a local folder.",
        ) from exc
    return Path(folder)


def read_index(folder: Path) -> dict[str, Any]:
    """Return ``model_index.json`` once it names only classes of trusted libraries.

    Raises:
        WeightsError: not JSON, no pipeline class, or a class from code that ships with the model.
    """
    try:
        index = json.loads((folder / INDEX_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError) as exc:
        raise WeightsError(f"{folder / INDEX_FILE} cannot be read as JSON.") from exc
    if not isinstance(index, dict) or not isinstance(index.get("_class_name"), str):
        raise WeightsError(
            f"{folder / INDEX_FILE} names no pipeline class of diffusers.",
            next_step="Pipelines that bring their own code are not loaded; use a pipeline that diffusers ships.",
        )
    for name, (library, _) in components(index).items():
        if library not in TRUSTED_LIBRARIES:
            raise WeightsError(
                f"The component {name!r} of {folder} comes from {library!r}; only "
                f"{', '.join(sorted(TRUSTED_LIBRARIES))} are trusted."
            )
    return index


def components(index: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """Return {component: (library, class)} of what an index would load, without the dropped ones."""
    return {
        name: (str(value[0]), str(value[1]))
        for name, value in index.items()
        if name not in _DROPPED and isinstance(value, list) and len(value) == 2 and value[0] is not None
    }


def loaded_files(folder: Path, index: dict[str, Any], spec: ModelSpec) -> list[Path]:
    """Return the files that loading this model reads, sorted.

    Raises:
        WeightsError: a component has weights only in a format that can run code, or the folder carries code.
    """
    found = [folder / INDEX_FILE]
    for name in components(index):
        if name in spec.skip_components:
            continue
        files = [p for p in sorted((folder / name).rglob("*")) if p.is_file() and not is_document(p)]
        for path in files:
            if path.suffix.lower() in CODE_SUFFIXES:
                raise WeightsError(f"Model {spec.id!r} carries code: {path.relative_to(folder)}.")
        weights = [p for p in files if p.suffix == ".safetensors"]
        pickles = [p for p in files if p.suffix.lower() in PICKLE_SUFFIXES]
        if pickles and not weights:
            raise WeightsError(
                f"Model {spec.id!r}: the component {name!r} has its weights only as {pickles[0].name!r}, a format that "
                "can run code; only safetensors are loaded.",
                next_step="Convert the weights to safetensors, or use a revision that ships them.",
            )
        chosen = _chosen_variant(weights, spec.variant)
        plain = [p for p in files if p not in weights and p not in pickles and ".index" not in p.name]
        indexes = [p for p in files if p.suffix == ".json" and _index_variant(p.name) == chosen]
        found += plain + indexes + [p for p in weights if _variant(p.name) == chosen]
    return sorted(found)


def verify_source(folder: Path, index: dict[str, Any], spec: ModelSpec) -> str:
    """Return the content digest of what will be loaded, after checking it against the spec.

    Raises:
        WeightsError: a file, or the digest of all of them, is not as pinned.
    """
    known = verify_folder(folder, spec.digests) if spec.digests is not None else {}
    names = {path.relative_to(folder).as_posix(): path for path in loaded_files(folder, index, spec)}
    digest = content_digest({name: known.get(name) or sha256_file(path) for name, path in names.items()})
    if spec.digest is not None:
        require_digest(digest, spec.digest, what=f"Model {spec.id!r}: the content of {folder}")
    return digest


def _variant(name: str) -> str | None:
    """Return the variant in a weight file's name: ``model.fp16-00001-of-00002.safetensors`` -> ``fp16``."""
    parts = _SHARD.sub("", name).removesuffix(".safetensors").split(".")
    return parts[-1] if len(parts) > 1 else None


def _index_variant(name: str) -> str | None:
    """Return the variant of a shard index, ``""`` for other files: ``x.safetensors.index.fp16.json`` -> ``fp16``."""
    if ".safetensors.index." not in name:
        return ""
    middle = name.partition(".safetensors.index.")[2].removesuffix("json").rstrip(".")
    return middle or None


def _chosen_variant(weights: list[Path], wanted: str | None) -> str | None:
    """Return the variant that the loader takes: the wanted one where a component has it, else the plain files."""
    return wanted if any(_variant(p.name) == wanted for p in weights) else None
