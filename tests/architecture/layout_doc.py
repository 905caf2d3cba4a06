"""Keep docs/layout.md true: one line per file, taken from the files themselves.

``python -m tests.architecture.layout_doc --write`` renews the tree between the markers; the test compares.
"""

import ast
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = ROOT / "docs" / "layout.md"
START, END = "<!-- tree: made by tests/architecture/layout_doc.py -->", "<!-- end of tree -->"
PACKAGES = ("guard", "detectors", "gateway")


def first_sentence(path: Path) -> str:
    """Return the first line of a module's docstring."""
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return docstring.split("\n", 1)[0]


def tree() -> str:
    """Return the whole tree as Markdown tables, one per folder."""
    parts = []
    for package in PACKAGES:
        folders = sorted({p.parent for p in (ROOT / package).rglob("*.py") if "__pycache__" not in p.parts})
        for folder in folders:
            files = sorted(folder.glob("*.py"), key=lambda p: (p.name != "__init__.py", p.name))
            rows = [f"| `{p.name}` | {first_sentence(p)} |" for p in files]
            parts.append("\n".join([f"### {folder.relative_to(ROOT)}/", "", "| file | what |", "|---|---|", *rows]))
    parts.append(f"### service.py\n\n{first_sentence(ROOT / 'service.py')}")
    return "\n\n".join(parts)


def renewed(text: str) -> str:
    """Return the document with the current tree between its markers."""
    before, _, rest = text.partition(START)
    _, _, after = rest.partition(END)
    return f"{before}{START}\n\n{tree()}\n\n{END}{after}"


def main() -> int:
    """Write the document with --write, else say whether it is current."""
    text = DOCUMENT.read_text(encoding="utf-8")
    if "--write" in sys.argv:
        DOCUMENT.write_text(renewed(text), encoding="utf-8")
        return 0
    return int(renewed(text) != text)


if __name__ == "__main__":
    raise SystemExit(main())
