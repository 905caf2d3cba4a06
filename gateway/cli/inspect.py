"""``signet inspect``: everything that a file's content credentials hold."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.tree import Tree

from detectors.report.as_text import printable
from gateway.cli.options import HomeOption, JSONOption, PathsArgument, runtime
from gateway.cli.output import CLEAN, console, for_each_file, reporting
from guard.provenance.crjson import CrJSONReader

_EPILOG = (
    "Examples:\n\n"
    "  signet inspect picture.png\n\n"
    "  signet inspect picture.png --json | jq '.crjson.manifests[0].assertions'\n\n"
    "  signet inspect uploads/ --json > manifests.jsonl"
)
_RESULTS = ("failure", "success")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("inspect", epilog=_EPILOG)(inspect)


def inspect(
    paths: PathsArgument,
    personal: Annotated[
        bool, typer.Option("--personal", help="Also show what may be about a person: authors, places, prompts.")
    ] = False,
    home: HomeOption = None,
    as_json: JSONOption = False,
) -> None:
    """Show every manifest of a file: claims, actions, assertions, ingredients, validation. JSON is standard crJSON."""
    with reporting(as_json=as_json), runtime(home) as opened:
        settings = opened.settings
        reader = CrJSONReader(opened.core.anchors, pool=opened.core.pool, deadline_s=settings.worker_deadline_s)

        def examine(_: Path, data: bytes) -> tuple[dict[str, Any], int]:
            return {"crjson": reader.read(data, personal=personal)}, CLEAN

        code = for_each_file(paths, examine, as_json=as_json, show=_show)
    raise typer.Exit(code)


def _show(row: dict[str, Any]) -> None:
    """Print one tree for each file: the active manifest first, then those it builds on."""
    tree = Tree(_text(row["path"]))
    if row["crjson"] is None:
        tree.add("no content credentials")
    else:
        for manifest in row["crjson"].get("manifests", []):
            _add_manifest(tree, manifest)
    console().print(tree)


def _add_manifest(tree: Tree, manifest: Mapping[str, Any]) -> None:
    claim = manifest.get("claim.v2") or manifest.get("claim") or {}
    branch = tree.add(_text(manifest.get("label")))
    subject = (manifest.get("signature") or {}).get("certificateInfo", {}).get("subject", {})
    branch.add("signed by: " + _text(subject.get("CN")))
    branch.add("claim generator: " + _named(claim.get("claim_generator_info") or claim.get("claim_generator")))
    assertions = manifest.get("assertions") or {}
    for label, content in assertions.items():
        part = branch.add(_text(label))
        for name, value in content.items() if isinstance(content, dict) else ():
            if name == "actions" and isinstance(value, list):
                _add_actions(part, value)
            else:
                part.add(f"{_text(name)}: {_text(value)}")
    results = manifest.get("validationResults") or {}
    for kind in _RESULTS:
        codes = dict.fromkeys(str(status.get("code")) for status in results.get(kind, []))
        if codes:
            branch.add(f"{kind}: " + _text(", ".join(codes)))


def _add_actions(part: Tree, actions: list[Any]) -> None:
    for action in actions:
        if isinstance(action, dict):
            source = str(action.get("digitalSourceType") or "").rsplit("/", 1)[-1]
            details = (source, _named(action.get("softwareAgent")), str(action.get("description") or ""))
            part.add(_text(", ".join(text for text in (str(action.get("action")), *details) if text)))


def _named(value: object) -> str:
    """Return a name and version, of either claim version, as text."""
    if isinstance(value, list):
        value = value[0] if value else None
    if isinstance(value, dict):
        return _text(" ".join(str(value[key]) for key in ("name", "version") if value.get(key)))
    return _text(value)


def _text(value: object) -> str:
    """Return any value as one line that is safe to print."""
    return printable("" if value is None else str(value)).replace("[", "\\[")
