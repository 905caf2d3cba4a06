"""``signet policy``: check, explain, compare and try the files that decide."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from detectors.policy import load_detection_policy
from gateway.cli.options import JSONOption
from gateway.cli.output import CLEAN, FINDING, USAGE, console, emit, reporting
from gateway.cli.prompt_rows import prompt_row
from guard.assembly import build_prompt_checkers
from guard.errors import GuardError, RequestError
from guard.policy.compare import OptionChange, checker_options, compare, relation, term_lists
from guard.policy.decide import Policy
from guard.policy.load import load_named, load_policy
from guard.policy.replay import replay
from guard.policy.schema import Category
from guard.prompt_check.report import examine_text
from guard.records import Action
from guard.settings import load_settings

app = typer.Typer(no_args_is_help=True, help="Check, explain, compare and try the policies: what changes a decision.")
PolicyArgument = Annotated[str, typer.Argument(help="Id of a bundled policy, or a file.")]
_EXPECTED: dict[str, tuple[Action, ...]] = {
    "withhold": (Action.REVIEW, Action.BLOCK),
    "release": (Action.ALLOW, Action.FLAG),
}
_EXPECTED |= {action.value: (action,) for action in Action}


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


def _load(name: str) -> Policy:
    """Return a policy by id or by file."""
    path = Path(name)
    return load_policy(path) if path.suffix == ".yaml" else load_named(load_settings().policies, name)


@app.command("explain", epilog="Example:\n\n  signet policy explain strict --category violence_gore")
def explain(
    policy: PolicyArgument,
    category: Annotated[Category | None, typer.Option("--category", help="Only this category.")] = None,
    as_json: JSONOption = False,
) -> None:
    """Say in words what a policy checks and from which score and severity on it does what."""
    with reporting(as_json=as_json):
        loaded = _load(policy)
        document = loaded.document
        chosen = [name for name in document.categories if category in (None, name)]
        if not chosen:
            raise RequestError(f"{category} is always blocked and has no thresholds: see the hard rules.")
    rules = {
        name.value: [rule.model_dump(mode="json") for rule in document.categories[name]] for name in sorted(chosen)
    }
    if as_json:
        checkers = document.checkers.model_dump(mode="json")
        emit({"id": loaded.id, "digest": loaded.digest, "checkers": checkers, "categories": rules})
        return
    screen = console()
    screen.print(f"{loaded.id}: {document.title}\ndigest {loaded.digest}", markup=False)
    for stage, entries in (("prompt", document.checkers.prompt), ("image", document.checkers.image)):
        screen.print(f"{stage} checkers: {', '.join(entry.id for entry in entries)}", markup=False)
    screen.print("Always blocked: sexual content about minors or identifiable people, and what cannot be judged.")
    for name, ladder in rules.items():
        screen.print(f"{name}{'' if ladder else ': not acted on'}")
        for rule in ladder:
            stages = " and ".join(rule["stages"])
            least = f"score {rule['min_score']:.2f} and severity {rule['min_severity']}"
            screen.print(f"   {rule['action']:6} from {least} on, for {stages}")


@app.command("diff", epilog="Example:\n\n  signet policy diff default my/generation.school.yaml")
def diff(first: PolicyArgument, second: PolicyArgument, as_json: JSONOption = False) -> None:
    """Say where the second policy is stricter or looser, and which checkers look differently.

    Exit code 1 when they differ.
    """
    with reporting(as_json=as_json):
        before, after = _load(first), _load(second)
    differences = [one for one in compare(before, after) if one.example]
    whole = relation(before, after)
    lists = {"removed": term_lists(before) - term_lists(after), "added": term_lists(after) - term_lists(before)}
    options = checker_options(before, after)
    if as_json:
        rows = [
            {
                "category": one.category.value,
                "stage": one.stage.value,
                "relation": one.relation.value,
                "example": one.example and [*one.example[:2], one.example[2].value, one.example[3].value],
            }
            for one in differences
        ]
        named: dict[str, Any] = {f"term_lists_{kind}": sorted(names) for kind, names in lists.items()}
        named["checker_options"] = [asdict(one) for one in options]
        emit({"first": before.id, "second": after.id, "relation": whole.value, **named, "differences": rows})
    else:
        screen = console()
        screen.print(f"{after.id} is {whole.value} compared with {before.id}", markup=False)
        for kind, names in lists.items():
            if names:
                screen.print(f"term lists {kind}: {', '.join(sorted(names))}", markup=False)
        for one in differences:
            score, severity, old, new = one.example or (0.0, 0, Action.ALLOW, Action.ALLOW)
            what = f"score {score:.2f}, severity {severity}: {old.value} becomes {new.value}"
            screen.print(f"   {one.category.value}, {one.stage.value}: {one.relation.value} ({what})", markup=False)
        for change in options:
            screen.print(f"   {_in_words(change)}", markup=False)
    raise typer.Exit(FINDING if differences or options or any(lists.values()) else CLEAN)


def _in_words(change: OptionChange) -> str:
    """Return one line for a checker, or one of its options, that the policies do not share."""
    if not change.option:
        return f"checker {change.checker} {'removed' if change.after is None else 'added'}"
    values = ["not set" if value is None else json.dumps(value) for value in (change.before, change.after)]
    return f"{change.checker}, {change.option}: {values[0]} becomes {values[1]}"


@app.command(
    "test",
    epilog="Examples:\n\n  signet policy test strict --cases cases.jsonl\n\n"
    "  signet policy test my/generation.school.yaml --replay labelled.jsonl",
)
def try_policy(
    policy: PolicyArgument,
    cases: Annotated[
        Path | None, typer.Option("--cases", help="JSON Lines: text, optional prompt_2, negative, guidance; expect.")
    ] = None,
    labelled: Annotated[
        Path | None, typer.Option("--replay", help="Labelled set of the review queue: what would have been done.")
    ] = None,
    as_json: JSONOption = False,
) -> None:
    """Try a policy: on prompts with the expected answer, or on what reviewers decided. Exit code 1 on a difference."""
    with reporting(as_json=as_json):
        if (cases is None) == (labelled is None):
            raise RequestError("Give either --cases or --replay.", next_step="See `signet policy test --help`.")
        loaded = _load(policy)
        failed = _try_cases(loaded, cases, as_json=as_json) if cases else _replay(loaded, labelled, as_json=as_json)
    raise typer.Exit(FINDING if failed else CLEAN)


def _try_cases(policy: Policy, cases: Path, *, as_json: bool) -> bool:
    """Check every case, show those that differ, return whether any does."""
    checkers = build_prompt_checkers(policy, terms=load_settings().policies / "terms")
    differing = total = 0
    for total, row in enumerate(_rows(cases), start=1):
        expect = str(row.get("expect"))
        if expect not in _EXPECTED:
            raise RequestError(f"{cases} row {total} needs `expect`: {', '.join(sorted(_EXPECTED))}.")
        texts = prompt_row(row, where=f"{cases} row {total}")
        decision = examine_text(texts.text, checkers=checkers, policy=policy, **texts.rest()).decision
        if decision.action in _EXPECTED[expect]:
            continue
        differing += 1
        found = {"row": total, "expect": expect, "decision": decision.action.value, "reason": decision.reason}
        emit(found) if as_json else console().print(
            f"row {total}: expected {expect}, decided {decision.action.value} ({decision.reason})", markup=False
        )
    summary = {"policy": policy.id, "cases": total, "differ": differing}
    emit(summary) if as_json else console().print(f"{policy.id}: {total - differing} of {total} as expected")
    return differing > 0


def _replay(policy: Policy, labelled: Path | None, *, as_json: bool) -> bool:
    """Decide a labelled set again, show what changes, return whether anything does."""
    found = replay(_rows(labelled or Path("-")), policy)
    if as_json:
        changed = [{"then": then, "now": now, "rows": n} for (then, now), n in sorted(found.changed.items())]
        sides = {
            name: getattr(found, name) for name in ("violating_withheld", "violating", "benign_withheld", "benign")
        }
        emit({"policy": policy.id, "rows": found.rows, **sides, "changed": changed})
        return bool(found.changed)
    screen = console()
    screen.print(f"{policy.id}: {found.rows} decided cases")
    screen.print(f"   of {found.violating} refusals that reviewers upheld, {found.violating_withheld} are withheld")
    screen.print(f"   of {found.benign} refusals that reviewers overturned, {found.benign_withheld} are withheld")
    for (then, now), count in sorted(found.changed.items()):
        screen.print(f"   {then} becomes {now}: {count}")
    return bool(found.changed)


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the JSON objects of a JSON Lines file."""
    try:
        lines = path.read_text(encoding="utf-8").split("\n")  # JSON may hold other line ends raw, U+2028 among them
    except (OSError, UnicodeDecodeError) as exc:
        raise RequestError(f"{path} cannot be read: {exc}.") from exc
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as exc:
            raise RequestError(f"{path} line {number} is not JSON.") from exc
        if not isinstance(row, dict):
            raise RequestError(f"{path} line {number} is not a JSON object.")
        yield row
