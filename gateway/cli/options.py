"""Options and the runtime shared by several commands."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from guard.settings import load_settings

if TYPE_CHECKING:
    from gateway.runtime import Runtime

JSONOption = Annotated[bool, typer.Option("--json", help="Print JSON: one document, or one line per item.")]
HomeOption = Annotated[
    Path | None,
    typer.Option("--home", envvar="SIGNET_HOME", help="Folder with keys, ledger and images.", show_default="~/.signet"),
]
PathsArgument = Annotated[list[Path], typer.Argument(help="Files or folders (recursed); - reads standard input.")]

LocaleOption = Annotated[
    str, typer.Option("--locale", help="Language tag of the person who asks; policies may have rules for it.")
]


@contextmanager
def runtime(home: Path | None, **overrides: object) -> Iterator[Runtime]:
    """Open the runtime for one command and close it afterwards."""
    from gateway.runtime import Runtime

    given = {name: value for name, value in {"home": home, **overrides}.items() if value is not None}
    opened = Runtime(load_settings(**given))
    try:
        yield opened
    finally:
        opened.close()
