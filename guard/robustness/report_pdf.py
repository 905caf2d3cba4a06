"""The report as PDF, set by typst (optional: ``pip install signet-gateway[pdf]``); the figures of the HTML page."""

from __future__ import annotations

import json
from typing import Any

from guard.errors import ConfigError
from guard.robustness.attack import AttackFamily
from guard.robustness.curves import curve_svg, curves_of
from guard.robustness.report import class_names, class_rates

_STYLE = """#set page(paper: "a4", margin: 1.6cm, numbering: "1")
#set text(size: 8.5pt)
#set table(stroke: none, inset: (x: 4pt, y: 2.5pt), align: (x, _) => if x == 0 { left } else { right })
#show table.cell.where(y: 0): strong
"""


def render_pdf(report: dict[str, Any]) -> bytes:
    """Return the PDF of a report from ``report.build_report``.

    Raises:
        ConfigError: typst is not installed.
    """
    try:
        import typst
    except ImportError as exc:
        raise ConfigError(
            "A PDF needs typst, which is not installed.", next_step="pip install signet-gateway[pdf]"
        ) from exc
    return bytes(typst.compile(_source(report).encode(), format="pdf"))


def _source(report: dict[str, Any]) -> str:
    """Return the typst source: all texts go in as string literals, so none is read as markup."""
    sources = ", ".join(f"{count} {name}" for name, count in report["pictures"].items())
    seconds = report["seconds"]
    parts = [
        _STYLE,
        f"#set document(title: {_text('Robustness of ' + report['codec'])})\n",
        f"#heading(level: 1, {_text('Robustness of ' + report['codec'])})\n",
        _paragraph(
            f"{sum(report['pictures'].values())} pictures ({sources}), made {report['made_at']} by Signet "
            f"{report['signet']}. False-accept bound 10^{report['log10_false_accept']:.0f} a picture; "
            f"{report['wrong_ids']} wrong ids were read."
        ),
        _paragraph(report["protocol"]),
        _quality(report),
    ]
    for family in AttackFamily:
        rows = [row for row in report["attacks"] if row["family"] == family.value]
        if rows:
            parts.append(_heading(family.value.capitalize()) + _attacks(rows, list(report["pictures"])))
    names = class_names(report)
    classes = [["attack", *names], *[[row["id"], *class_rates(row, names)] for row in report["attacks"]]]
    parts.append(_heading("By content and size") + _table(classes))
    curves = [
        f'figure(image(bytes({_text(curve_svg(name, rows))}), format: "svg"), caption: {_text(name)})'
        for name, rows in curves_of(report).items()
    ]
    if curves:
        parts.append(_heading("Survival curves") + f"#grid(columns: 3, gutter: 8pt, {', '.join(curves)})\n")
    parts.append(
        _paragraph(
            f"Processor time, median: mark {1000 * seconds['embed_median']:.0f} ms, read "
            f"{1000 * seconds['detect_median']:.0f} ms (95th percentile {1000 * seconds['detect_p95']:.0f} ms)."
        )
    )
    return "".join(parts)


def _text(value: str) -> str:
    """Return a typst string literal. JSON's escapes for quotes, backslashes and line ends are typst's too."""
    return json.dumps("".join(c if c.isprintable() else " " for c in value), ensure_ascii=False)


def _paragraph(value: str) -> str:
    """Return a paragraph."""
    return f"#par({_text(value)})\n"


def _heading(value: str) -> str:
    """Return a heading of the second level."""
    return f"#heading(level: 2, {_text(value)})\n"


def _table(rows: list[list[str]]) -> str:
    """Return a table whose first row is the header, repeated on every page."""
    head, cells = (", ".join(f"[#{_text(cell)}]" for row in part for cell in row) for part in (rows[:1], rows[1:]))
    return f"#table(columns: {len(rows[0])}, table.header({head}), {cells})\n"


def _quality(report: dict[str, Any]) -> str:
    """Return the quality figures of every class."""
    rows = [["class", "pictures", "PSNR, dB (least)", "SSIM (least)", "S-CIELAB (most)", "in flat areas, 99 % (most)"]]
    for kind in ("quality", "quality_by_content", "quality_by_size"):
        for name, row in report[kind].items():
            figures = [
                f"{row[key]['mean']:.{digits}f} ({row[key]['worst']:.{digits}f})"
                for key, digits in (("psnr_db", 2), ("ssim", 4), ("delta_e", 2), ("delta_e_flat", 2))
            ]
            rows.append([name, str(row["pictures"]), *figures])
    return _heading("Quality") + _table(rows)


def _attacks(rows: list[dict[str, Any]], sources: list[str]) -> str:
    """Return one family's rates."""
    table = [["attack", "required", "all", "95 % interval", "bits right", *sources, "worst class"]]
    for row in rows:
        every, worst, required = row["all"], row["worst"], row["required"]
        below = required is not None and every["rate"] < required
        by = row["by"]["source"]
        table.append(
            [
                row["id"],
                "" if required is None else f"{required:.0%}",
                f"{every['rate']:.1%}{' (below)' if below else ''}",
                f"{every['low']:.1%} to {every['high']:.1%}",
                f"{row['bit_accuracy']:.1%}",
                *[f"{by[source]['rate']:.1%}" if source in by else "" for source in sources],
                "" if worst is None else f"{worst['rate']:.1%}, {worst['class']}",
            ]
        )
    return _table(table)
