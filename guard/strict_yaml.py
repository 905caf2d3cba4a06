"""YAML that decides things, read strictly: no aliases, no duplicate keys, no surprises, a size limit.

``read_strict(path, model)`` = bytes -> mapping (``yaml.SafeLoader`` without aliases) -> JSON -> strict pydantic model.
Going through JSON refuses dates, NaN and infinity, which YAML accepts and a policy must not.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from guard.errors import PolicyError

MAX_YAML_BYTES = 512 * 1024
"""Limit for one policy or term file; the largest bundled one is under 40 KB (measured)."""

Model = TypeVar("Model", bound=BaseModel)


class _StrictLoader(yaml.SafeLoader):
    """``SafeLoader`` that refuses aliases (expansion bombs) and duplicate keys (the last one would win)."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Refuse ``*alias``; everything else as usual."""
        if self.check_event(yaml.events.AliasEvent):
            raise yaml.YAMLError("aliases are not allowed")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Refuse a key that is written twice in one mapping."""
        seen: set[str] = set()
        for key_node, _ in node.value:
            key = str(key_node.value)
            if key in seen:
                raise yaml.YAMLError(f"key {key!r} is written twice (line {key_node.start_mark.line + 1})")
            seen.add(key)
        return super().construct_mapping(node, deep=deep)


def parse_strict(data: bytes, model: type[Model], *, name: str) -> Model:
    """Parse and validate the bytes of one YAML document.

    Args:
        data: UTF-8, at most MAX_YAML_BYTES.
        model: strict pydantic model of the document.
        name: what to call the document in messages.

    Raises:
        PolicyError: too large, not UTF-8, not YAML, aliases, duplicate keys, or not what ``model`` expects.
    """
    if len(data) > MAX_YAML_BYTES:
        raise PolicyError(f"{name} has {len(data)} bytes; at most {MAX_YAML_BYTES} are read.")
    try:
        loaded = yaml.load(data.decode("utf-8"), Loader=_StrictLoader)  # noqa: S506 - a SafeLoader subclass
        return model.model_validate_json(json.dumps(loaded, allow_nan=False))
    except UnicodeDecodeError as exc:
        raise PolicyError(f"{name} is not UTF-8 text.") from exc
    except (yaml.YAMLError, RecursionError) as exc:
        raise PolicyError(f"{name} is not strict YAML: {exc}") from exc
    except ValidationError as exc:
        problems = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'document'}: {e['msg']}" for e in exc.errors()[:5])
        raise PolicyError(f"{name} is not valid: {problems}") from exc
    except (TypeError, ValueError) as exc:
        raise PolicyError(f"{name} holds a value that JSON cannot hold (date, NaN, infinity): {exc}") from exc


def read_strict(path: Path, model: type[Model]) -> tuple[Model, str]:
    """Read one YAML file; return the validated model and the SHA-256 (hex) of its exact bytes.

    Raises:
        PolicyError: the file cannot be read, or see ``parse_strict``.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_YAML_BYTES + 1)
    except OSError as exc:
        raise PolicyError(f"{path} cannot be read: {exc.strerror or exc}.") from exc
    return parse_strict(data, model, name=str(path)), hashlib.sha256(data).hexdigest()
