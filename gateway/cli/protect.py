"""``signet protect``: pictures that must not be generated again; their fingerprints are kept, they are not."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from detectors.report.as_text import printable
from gateway.cli.options import HomeOption, JSONOption, PathsArgument, runtime
from gateway.cli.output import CLEAN, FINDING, console, emit, error_console, for_each_file, reporting
from gateway.runtime import Runtime
from guard.checker_assembly import similarity_rule
from guard.errors import RequestError
from guard.fingerprint import MIN_QUALITY, fingerprints
from guard.policy.load import load_named
from guard.policy.schema import MAX_SEVERITY, Category, ProtectedSetEntry
from guard.protected_set.checker import MATCH_SCORE, ProtectedSetChecker
from guard.protected_set.entry import MAX_LABEL_CHARS, ProtectedEntry
from guard.protected_set.pdq_lists import read_pdq_list, write_pdq_list
from guard.protected_set.similarity import SimilarityRule, picture_vector
from guard.records import Finding

app = typer.Typer(
    no_args_is_help=True, help="Keep a set of pictures that generated and input pictures are compared with."
)
ListOption = Annotated[str, typer.Option("--list", help="Name of the list that the entries belong to.")]
CategoryOption = Annotated[Category, typer.Option("--category", help="Category of findings about them.")]
SeverityOption = Annotated[int, typer.Option("--severity", min=0, max=MAX_SEVERITY, help="Severity of findings, 0..7.")]
HardOption = Annotated[bool, typer.Option("--hard", help="Block under every policy, whatever it says.")]


@app.command(
    "add",
    epilog="Examples:\n\n  signet protect add client-logos/ --list clients\n\n"
    "  signet protect add training/ --list training --category trademark_style",
)
def add(
    paths: PathsArgument,
    list_name: ListOption = "protected",
    category: CategoryOption = Category.TRADEMARK_STYLE,
    severity: SeverityOption = 6,
    hard: HardOption = False,
    home: HomeOption = None,
    as_json: JSONOption = False,
) -> None:
    """Add pictures, or folders of them. Only fingerprints are kept, and vectors where the policy names a model."""
    with reporting(as_json=as_json), runtime(home) as opened:
        store = opened.core.protected_set
        rule = _similarity(opened)
        _warn(opened, category, severity=severity, hard=hard)

        def examine(path: Path, data: bytes) -> tuple[dict[str, Any], int]:
            pixels = opened.decode(data).rgb
            prints = fingerprints(pixels)
            if prints.pdq_quality < MIN_QUALITY:
                raise RequestError(
                    f"The picture is too plain to be told from others (PDQ quality {prints.pdq_quality}, "
                    f"at least {MIN_QUALITY} is needed).",
                    next_step="Leave it out: it would match other plain pictures.",
                )
            entry = ProtectedEntry(
                list_name=list_name,
                label=path.name.encode(errors="replace").decode()[:MAX_LABEL_CHARS],
                category=category.value,
                severity=severity,
                hard=hard,
                pdq=prints.pdq,
                quality=prints.pdq_quality,
                vector=None if rule is None else picture_vector(rule.model, pixels),
            )
            store.add([entry])
            added = {"list": list_name, "pdq": entry.pdq, "quality": entry.quality, "vector": rule is not None}
            return added, CLEAN

        def show(row: dict[str, Any]) -> None:
            console().print(f"added  {printable(row['path'])}", markup=False)

        code = for_each_file(paths, examine, as_json=as_json, show=show)
    raise typer.Exit(code)


@app.command(
    "import", epilog="Example:\n\n  signet protect import removed.csv --list removed --category shocking --hard"
)
def import_hashes(
    file: Annotated[Path, typer.Argument(help="PDQ hash list: one hash a line, or `hash,quality,label`.")],
    list_name: ListOption,
    category: CategoryOption,
    severity: SeverityOption = MAX_SEVERITY,
    hard: HardOption = False,
    home: HomeOption = None,
    as_json: JSONOption = False,
) -> None:
    """Add the hashes of a list that somebody shares: removed, illegal or otherwise unwanted pictures."""
    with reporting(as_json=as_json), runtime(home) as opened:
        store = opened.core.protected_set
        _warn(opened, category, severity=severity, hard=hard)
        try:
            lines = file.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as exc:
            raise RequestError(f"{file} cannot be read as text.", next_step="Check the path.") from exc
        added = store.add(
            ProtectedEntry(
                list_name=list_name,
                label=listed.label,
                category=category.value,
                severity=severity,
                hard=hard,
                pdq=listed.pdq,
                quality=listed.quality,
            )
            for listed in read_pdq_list(lines)
        )
    row = {"list": list_name, "added": added}
    emit(row) if as_json else console().print(f"{added} hashes in the list {list_name}", markup=False)


@app.command("export", epilog="Example:\n\n  signet protect export removed > removed.csv")
def export(list_name: Annotated[str, typer.Argument(metavar="LIST")], home: HomeOption = None) -> None:
    """Print a list in the format that `import` reads."""
    with reporting(as_json=False), runtime(home) as opened:
        store = opened.core.protected_set
        entries = store.entries(list_name=list_name)
        if not entries:
            raise RequestError(f"There is no list {list_name!r}.", next_step="`signet protect list` shows all.")
    for line in write_pdq_list(entries):
        typer.echo(line)


@app.command("list", epilog="Example:\n\n  signet protect list")
def list_lists(home: HomeOption = None, as_json: JSONOption = False) -> None:
    """Show the lists with their sizes and what a match means."""
    with reporting(as_json=as_json), runtime(home) as opened:
        store = opened.core.protected_set
        counts: dict[tuple[str, str, int, bool], int] = {}
        for entry in store.entries():
            key = (entry.list_name, entry.category, entry.severity, entry.hard)
            counts[key] = counts.get(key, 0) + 1
    rows = [
        {"list": key[0], "category": key[1], "severity": key[2], "hard": key[3], "entries": count}
        for key, count in counts.items()
    ]
    if as_json:
        for row in rows:
            emit(row)
        return
    table = Table("List", "Entries", "Category", "Severity", "Blocks always", box=None)
    for row in rows:
        name = printable(str(row["list"]))
        cells = (str(row[key]) for key in ("entries", "category", "severity"))
        table.add_row(name, *cells, "yes" if row["hard"] else "no")
    console().print(table if rows else "The protected set is empty.")


@app.command(
    "remove", epilog="Examples:\n\n  signet protect remove clients\n\n  signet protect remove clients logo.png"
)
def remove(
    list_name: Annotated[str, typer.Argument(metavar="LIST")],
    label: Annotated[str | None, typer.Argument(help="Only the entry with this label.")] = None,
    home: HomeOption = None,
    as_json: JSONOption = False,
) -> None:
    """Remove a list, or one entry of it."""
    with reporting(as_json=as_json), runtime(home) as opened:
        store = opened.core.protected_set
        removed = store.remove(list_name=list_name, label=label)
        if removed == 0:
            raise RequestError("Nothing has that list and label.", next_step="`signet protect list` shows all.")
    row = {"list": list_name, "removed": removed}
    emit(row) if as_json else console().print(f"{removed} removed from {list_name}", markup=False)


@app.command("check", epilog="Example:\n\n  signet protect check outputs/ --json")
def check(paths: PathsArgument, home: HomeOption = None, as_json: JSONOption = False) -> None:
    """Compare pictures with the protected set. Exit code 1 when any matches."""
    with reporting(as_json=as_json), runtime(home) as opened:
        store = opened.core.protected_set
        checker = ProtectedSetChecker(store, similarity=_similarity(opened))

        def examine(_: Path, data: bytes) -> tuple[dict[str, Any], int]:
            found = checker.check(opened.decode(data).rgb)
            matches = [{"category": f.category, "severity": f.severity, "reason": f.reason} for f in found]
            return {"matches": matches}, FINDING if matches else CLEAN

        def show(row: dict[str, Any]) -> None:
            said = "; ".join(match["reason"] for match in row["matches"]) or "no match"
            console().print(f"{printable(row['path'])}  {said}", markup=False)

        code = for_each_file(paths, examine, as_json=as_json, show=show)
    raise typer.Exit(code)


def _similarity(opened: Runtime) -> SimilarityRule | None:
    """Return the policy in force's rule for resemblance, or None."""
    policy = load_named(opened.settings.policies, opened.settings.generation_policy)
    entries = [entry for entry in policy.document.checkers.image if isinstance(entry, ProtectedSetEntry)]
    return similarity_rule(entries[0], core=opened.core) if entries else None


def _warn(opened: Runtime, category: Category, *, severity: int, hard: bool) -> None:
    """Say so when the installation's policy would do nothing about a match."""
    policy = load_named(opened.settings.policies, opened.settings.generation_policy)
    out = error_console()
    if not any(entry.id == ProtectedSetChecker.id for entry in policy.document.checkers.image):
        out.print(f"[yellow]Note:[/] the policy {policy.id} does not list {ProtectedSetChecker.id}.")
        return
    match = Finding(
        checker=ProtectedSetChecker.id,
        category=category.value,
        score=MATCH_SCORE,
        severity=severity,
        reason="A match.",
        hard=hard,
    )
    if policy.decide([match], stage="image").releases:
        out.print(f"[yellow]Note:[/] the policy {policy.id} withholds nothing for {category.value}; --hard would.")
