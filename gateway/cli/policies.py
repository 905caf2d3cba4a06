"""``signet policy``: check and list the files that decide."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from detectors.policy import load_detection_policy
from gateway.cli.options import JSONOption
from gateway.cli.output import CLEAN, USAGE, console, emit, reporting
from guard.errors import GuardError
from guard.policy.load import load_policy
from guard.settings import load_settings

app = typer.Typer(no_args_is_help=True, help="Check the policies: everything that can change a decision.")


@app.command("check", epilog="Examples:\n\n  signet policy check\n\n  signet policy check my/generation.school.yaml")
def check(
    files: Annotated[list[Path] | None, typer.Argument(help="Policy files; default: every bundled one.")] = None,
    as_json: JSONOption = False,
) -> None:
    """Validate policy files and show the digest that goes into every record. Exit code 2 when one is wrong."""
    with reporting(as_json=as_json):
        chosen = files or sorted(load_settings().policies.glob("*.yaml"))
    rows = [_check(path) for path in chosen]
    for row in rows:
        if as_json:
            emit(row)
        elif row["ok"]:
            console().print(f"[green]ok[/]  {row['id']}  {row['digest'][:16]}  {row['path']}", soft_wrap=True)
        else:
            console().print(f"no  {row['path']}: {row['reason']}", markup=False, soft_wrap=True)
    raise typer.Exit(CLEAN if all(row["ok"] for row in rows) else USAGE)


def _check(path: Path) -> dict[str, Any]:
    try:
        if path.name.startswith("detection."):
            document, digest = load_detection_policy(path)
            policy_id = document.id
        else:
            policy = load_policy(path)
            policy_id, digest = policy.id, policy.digest
    except GuardError as error:
        return {"path": str(path), "ok": False, "reason": str(error), "next_step": error.diagnostics()}
    return {"path": str(path), "ok": True, "id": policy_id, "digest": digest}
