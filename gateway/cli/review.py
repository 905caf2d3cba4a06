"""``signet review``: the queue of what was refused, on the command line."""

from __future__ import annotations

import getpass
import json
import os
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from detectors.report.as_text import printable
from gateway.cli.options import HomeOption, JSONOption, runtime
from gateway.cli.output import console, emit, reporting, write_file
from gateway.review.cases import CaseStatus, Part, ReviewOutcome
from guard.errors import RequestError

app = typer.Typer(no_args_is_help=True, help="Look at what was refused, decide, and export the decisions.")
CaseArgument = Annotated[str, typer.Argument(metavar="APPEAL_ID", help="16 hex digits, as the refusal gave them.")]
TenantOption = Annotated[str | None, typer.Option("--tenant", help="Whose refusals; default: SIGNET_TENANT.")]
_COLOUR = {CaseStatus.OPEN: "yellow", CaseStatus.APPEALED: "bold yellow"}


@app.command("list", epilog="Examples:\n\n  signet review list\n\n  signet review list --status appealed --json")
def list_cases(
    status: Annotated[CaseStatus | None, typer.Option("--status", help="Only cases that stand here.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many, newest first.")] = 50,
    tenant: TenantOption = None,
    home: HomeOption = None,
    as_json: JSONOption = False,
) -> None:
    """List refusals, newest first, without their content."""
    with reporting(as_json=as_json), runtime(home, tenant=tenant) as opened:
        found = opened.reviews.cases(tenant=opened.settings.tenant, status=status, limit=limit)
    if as_json:
        for case in found:
            emit(case.as_json())
        return
    table = Table("Appeal id", "Withheld (UTC)", "Status", "Stage", "Category", "Kept", box=None)
    for case in found:
        colour = _COLOUR.get(case.status, "green")
        kept = ", ".join(sorted(part.value for part in case.parts)) or "findings only"
        moment = f"{case.withheld_at:%Y-%m-%d %H:%M}"
        cells = (case.appeal_id, moment, f"[{colour}]{case.status}[/]", case.stage, case.category or "-", kept)
        table.add_row(*cells)
    console().print(table if found else "Nothing was refused.")


@app.command("show", epilog="Example:\n\n  signet review show 0123456789abcdef --picture withheld.png")
def show(
    appeal_id: CaseArgument,
    picture: Annotated[Path | None, typer.Option("--picture", help="Write the withheld picture here (PNG).")] = None,
    tenant: TenantOption = None,
    home: HomeOption = None,
    as_json: JSONOption = False,
) -> None:
    """Show one refusal with the texts that were asked for; the opening is noted under your user name."""
    with reporting(as_json=as_json), runtime(home, tenant=tenant) as opened:
        whose, who = opened.settings.tenant, _operator()
        case = opened.reviews.case(appeal_id, tenant=whose)
        texts = opened.reviews.open_part(appeal_id, Part.TEXTS, tenant=whose, who=who)
        statement = opened.reviews.open_part(appeal_id, Part.STATEMENT, tenant=whose, who=who)
        if picture is not None:
            content = opened.reviews.open_part(appeal_id, Part.PICTURE, tenant=whose, who=who)
            if content is None:
                raise RequestError("No picture is kept for this case.", next_step="Leave out --picture.")
            write_file(picture, content, private=True)
        history = opened.reviews.accesses(appeal_id, tenant=whose)
    row = case.as_json() | {
        "texts": None if texts is None else json.loads(texts),
        "statement": None if statement is None else statement.decode(),
        "accesses": [{"who": a.who, "what": a.what, "at": a.at.isoformat()} for a in history],
    }
    if as_json:
        emit(row)
    else:
        _show(row)


@app.command("decide", epilog="Example:\n\n  signet review decide 0123456789abcdef overturned --reason 'A wax museum.'")
def decide(
    appeal_id: CaseArgument,
    outcome: Annotated[ReviewOutcome, typer.Argument(help="Was the refusal right (upheld) or wrong (overturned)?")],
    reason: Annotated[str, typer.Option("--reason", help="Why; kept with the decision.")],
    tenant: TenantOption = None,
    home: HomeOption = None,
    as_json: JSONOption = False,
) -> None:
    """Uphold or overturn a refusal, with a reason. Overturning releases nothing: the person may ask again."""
    with reporting(as_json=as_json), runtime(home, tenant=tenant) as opened:
        case = opened.reviews.decide(
            appeal_id, tenant=opened.settings.tenant, outcome=outcome, reviewer=_operator(), reason=reason
        )
    if as_json:
        emit(case.as_json())
    else:
        console().print(f"{appeal_id}: {outcome}")


@app.command("export", epilog="Example:\n\n  signet review export > labelled.jsonl")
def export(tenant: TenantOption = None, home: HomeOption = None) -> None:
    """Print decided cases as a labelled set (JSON Lines) for `signet policy test`; no prompts, no pictures."""
    with reporting(as_json=True), runtime(home, tenant=tenant) as opened:
        for row in opened.reviews.labelled(tenant=opened.settings.tenant):
            emit(row)


def _operator() -> str:
    """Return the name under which accesses are noted: the account's, which no environment variable can change."""
    if os.name != "posix":
        return getpass.getuser()
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # containers run under numbers that no account has
        return f"uid {os.getuid()}"


def _show(row: dict[str, Any]) -> None:
    table = Table.grid(padding=(0, 2))
    for name, value in row.items():
        shown = json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else str(value)
        table.add_row(name, printable(shown).replace("[", "\\["))
    console().print(table)
