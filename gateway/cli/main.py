"""The ``signet`` command: every subcommand, each with examples under ``--help``.

Exit codes: 0 clean, 1 finding or refusal, 2 usage or configuration, 3 could not examine.
"""

from __future__ import annotations

from typing import Annotated

import typer

from gateway.cli import (
    check,
    credentials,
    demo,
    detect,
    doctor,
    evaluate,
    evaluate_detect,
    generate,
    inspect,
    keys,
    ledger,
    policies,
    protect,
    recover,
    retain,
    review,
    robustness,
    serve,
    sign,
    signer,
    train,
    trust,
    watermark,
    weights,
)
from guard.version import __version__

app = typer.Typer(
    name="signet",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Provenance, detection and safety for AI-generated images.\n\n"
    "Exit codes: 0 clean, 1 finding or refusal, 2 usage or configuration, 3 could not examine.",
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"signet {__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show version.")] = False,
) -> None:
    """Keep the options that belong to no subcommand."""


evaluate_detect.register(evaluate.app)
for module in (generate, check, detect, sign, credentials, inspect, recover, doctor, serve, demo):
    module.register(app)
app.add_typer(watermark.app, name="watermark")
app.add_typer(robustness.app, name="robustness")
retain.register(ledger.app)
app.add_typer(ledger.app, name="ledger")
app.add_typer(ledger.audit_app, name="audit")
app.add_typer(keys.app, name="keys")
app.add_typer(signer.app, name="signer")
app.add_typer(trust.app, name="trust")
app.add_typer(policies.app, name="policy")
app.add_typer(evaluate.app, name="evaluate")
app.add_typer(train.app, name="train")
app.add_typer(weights.app, name="weights")
app.add_typer(review.app, name="review")
app.add_typer(protect.app, name="protect")

if __name__ == "__main__":
    app()
