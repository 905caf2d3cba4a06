"""``signet ledger retain``: erase what has been kept long enough."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any

import typer

from gateway.cli.options import HomeOption, JSONOption, runtime
from gateway.cli.output import CLEAN, console, emit, reporting
from gateway.runtime import Runtime
from guard.errors import RequestError
from guard.ledger.entry import deletion_body
from guard.ledger.image_store import Deleted, Stored

REASON = "retention"
"""Reason in the deletion entries of the ledger."""
MAX_DAYS = 36_500
"""A century: longer is a typing error."""
_EPILOG = (
    "Examples:\n\n"
    "  signet ledger retain --images-days 30 --thumbnails-days 365\n\n"
    "  signet ledger retain --images-days 7 --tenant acme --json"
)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("retain", epilog=_EPILOG)(retain)


def retain(
    images_days: Annotated[
        int | None,
        typer.Option("--images-days", min=0, max=MAX_DAYS, help="Delete pictures older than this many days."),
    ] = None,
    thumbnails_days: Annotated[
        int | None, typer.Option("--thumbnails-days", min=0, max=MAX_DAYS, help="Erase thumbnails older than this.")
    ] = None,
    tenant: Annotated[str | None, typer.Option("--tenant", help="Only this tenant's.")] = None,
    home: HomeOption = None,
    as_json: JSONOption = False,
) -> None:
    """Delete stored pictures and erase registered thumbnails that are old enough; run it daily.

    Withheld content whose time is over is erased as well, as the policy says.

    Every deletion is an entry of the ledger. Manifests and hashes stay: they lead copies back to their credentials and
    show nothing of the picture. Without its thumbnail a picture is recovered from whole copies only, not from parts.
    """
    with reporting(as_json=as_json), runtime(home) as opened:
        if images_days is None and thumbnails_days is None:
            raise RequestError("Nothing is to be erased.", next_step="Name --images-days, --thumbnails-days or both.")
        row = {
            "images_deleted": _delete_images(opened, images_days, tenant),
            "thumbnails_erased": _erase_thumbnails(opened, thumbnails_days, tenant),
            "withheld_erased": opened.erase_withheld(),
        }
        _show(row, as_json=as_json)
    raise typer.Exit(CLEAN)


def _delete_images(opened: Runtime, days: int | None, tenant: str | None) -> int:
    """Delete pictures, what a crash left of them too, and record each deletion that the ledger does not know."""
    if days is None:
        return 0
    core, count = opened.core, 0
    now = core.clock.now()
    core.recover()
    recorded = core.ledger.deleted_ids()
    for image_id, owner in core.ledger.registered_before(now - timedelta(days=days), tenant=tenant):
        state = core.images.state(image_id)
        if isinstance(state, Stored):
            core.images.delete(image_id, reason=REASON, at=now)
            core.ledger.append(deletion_body(at=now, image_id=image_id, tenant=owner, reason=REASON))
            count += 1
        elif isinstance(state, Deleted) and image_id not in recorded:  # a crash came between the two steps
            at = datetime.fromisoformat(state.deleted_at)
            core.ledger.append(deletion_body(at=at, image_id=image_id, tenant=owner, reason=state.reason))
            count += 1
    return count


def _erase_thumbnails(opened: Runtime, days: int | None, tenant: str | None) -> int:
    """Erase thumbnails; their digests stay, so the ledger still verifies."""
    if days is None:
        return 0
    core = opened.core
    before = core.clock.now() - timedelta(days=days)
    old = core.ledger.registered_before(before, tenant=tenant)
    erased = sum(core.ledger.erase_thumbnail(image_id) for image_id, _ in old)
    core.ledger.clear_journal()
    return erased


def _show(row: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        emit(row)
    else:
        console().print(
            f"{row['images_deleted']} pictures deleted, {row['thumbnails_erased']} thumbnails erased, "
            f"{row['withheld_erased']} withheld texts and pictures erased"
        )
