"""The report as one self-contained HTML page: tables by family, survival curves as inline SVG, print style for PDF."""

from __future__ import annotations

from html import escape
from typing import Any, Final

from guard.robustness.attack import AttackFamily
from guard.robustness.curves import curve_svg, curves_of
from guard.robustness.report import class_names, class_rates

_STYLE: Final = """
body{font:15px/1.45 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem;color:#1b1f24;background:#fff}
table{border-collapse:collapse;margin:.8rem 0;font-variant-numeric:tabular-nums}
table{display:block;max-width:100%;overflow-x:auto}
th,td{border-bottom:1px solid #d5d9de;padding:.25rem .7rem;text-align:right}
th:first-child,td:first-child{text-align:left;white-space:nowrap}
.low{color:#a1260d;font-weight:600}
.curves{display:flex;flex-wrap:wrap;gap:1rem}
figure{margin:0}figcaption{font-size:.85rem;text-align:center}
@media (prefers-color-scheme:dark){body{color:#e6e6e6;background:#15181c}th,td{border-color:#3a4048}.low{color:#ff9b85}}
@media print{body{max-width:none;margin:0}figure,table{break-inside:avoid}}
"""


def render_html(report: dict[str, Any]) -> str:
    """Return the page of a report from ``report.build_report``."""
    total = sum(report["pictures"].values())
    sources = ", ".join(f"{count} {escape(name)}" for name, count in report["pictures"].items())
    parts = [
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>",
        "<meta name='viewport' content='width=device-width,initial-scale=1'>",
        f"<title>Robustness of {escape(report['codec'])}</title><style>{_STYLE}</style></head><body><main>",
        f"<h1>Robustness of <code>{escape(report['codec'])}</code></h1>",
        f"<p>{total} pictures ({sources}), made {escape(report['made_at'])} by Signet {escape(report['signet'])}. "
        f"False-accept bound 10<sup>{report['log10_false_accept']:.0f}</sup> a picture; "
        f"{report['wrong_ids']} wrong ids were read.</p><p>{escape(report['protocol'])}</p>",
        "<h2>Quality</h2>",
        _quality_table(report),
        _curves(report),
    ]
    for family in AttackFamily:
        rows = [row for row in report["attacks"] if row["family"] == family.value]
        if rows:
            parts.append(f"<h2>{escape(family.value.capitalize())}</h2>{_attack_table(rows, list(report['pictures']))}")
    parts.append(_class_table(report))
    seconds = report["seconds"]
    parts.append(
        f"<h2>Time</h2><p>Processor time, median: mark {1000 * seconds['embed_median']:.0f} ms, read "
        f"{1000 * seconds['detect_median']:.0f} ms (95th percentile {1000 * seconds['detect_p95']:.0f} ms).</p>"
    )
    return "".join(parts) + "</main></body></html>\n"


def _quality_table(report: dict[str, Any]) -> str:
    """Return the quality figures of every class."""
    head = "<table><thead><tr><th>class</th><th>pictures</th><th>PSNR, dB (least)</th><th>SSIM (least)</th>"
    lines = [head + "<th>S-CIELAB difference (most)</th><th>... in flat areas, 99 % (most)</th></tr></thead><tbody>"]
    for kind in ("quality", "quality_by_content", "quality_by_size"):
        for name, row in report[kind].items():
            cells = [
                f"{row['psnr_db']['mean']:.2f} ({row['psnr_db']['worst']:.2f})",
                f"{row['ssim']['mean']:.4f} ({row['ssim']['worst']:.4f})",
                f"{row['delta_e']['mean']:.2f} ({row['delta_e']['worst']:.2f})",
                f"{row['delta_e_flat']['mean']:.2f} ({row['delta_e_flat']['worst']:.2f})",
            ]
            joined = "".join(f"<td>{cell}</td>" for cell in cells)
            lines.append(f"<tr><td>{escape(name)}</td><td>{row['pictures']}</td>{joined}</tr>")
    return "".join(lines) + "</tbody></table>"


def _attack_table(rows: list[dict[str, Any]], sources: list[str]) -> str:
    """Return one family's rates."""
    heads = ["attack", "required", "all", "95 % interval", "bits right", *sources, "worst class"]
    lines = ["<table><thead><tr>" + "".join(f"<th>{escape(h)}</th>" for h in heads) + "</tr></thead><tbody>"]
    for row in rows:
        every = row["all"]
        low = row["required"] is not None and every["rate"] < row["required"]
        worst = row["worst"]
        cells = [
            "" if row["required"] is None else f"{row['required']:.0%}",
            f"<span class='low'>{every['rate']:.1%} (below)</span>" if low else f"{every['rate']:.1%}",
            f"{every['low']:.1%} to {every['high']:.1%}",
            f"{row['bit_accuracy']:.1%}",
            *[f"{row['by']['source'][s]['rate']:.1%}" if s in row["by"]["source"] else "" for s in sources],
            "" if worst is None else f"{worst['rate']:.1%}, {escape(worst['class'])}",
        ]
        lines.append(f"<tr><td>{escape(row['id'])}</td>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    return "".join(lines) + "</tbody></table>"


def _class_table(report: dict[str, Any]) -> str:
    """Return every attack's rate by content and by size."""
    names = class_names(report)
    cells = "".join(f"<th>{escape(name)}</th>" for name in names)
    lines = [f"<h2>By content and size</h2><table><thead><tr><th>attack</th>{cells}</tr></thead><tbody>"]
    for row in report["attacks"]:
        cells = "".join(f"<td>{text}</td>" for text in class_rates(row, names))
        lines.append(f"<tr><td>{escape(row['id'])}</td>{cells}</tr>")
    return "".join(lines) + "</tbody></table>"


def _curves(report: dict[str, Any]) -> str:
    """Return a figure for every curve."""
    figures = [
        f"<figure>{curve_svg(name, rows)}<figcaption>{escape(name)}</figcaption></figure>"
        for name, rows in curves_of(report).items()
    ]
    return f"<h2>Survival curves</h2><div class='curves'>{''.join(figures)}</div>" if figures else ""
