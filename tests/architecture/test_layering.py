"""Architecture: who may import whom, no cycles, short files and functions, light imports, who may build records.

Reads the sources with ``ast``; imports nothing of ours.
"""

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from tests.architecture.layers import (
    ALLOWED,
    FAMILIES,
    HEAVY,
    MAX_FUNCTION_LINES,
    MAX_LINES,
    RECORDS_OF_THE_FLOW,
    STAGES,
)

ROOT = Path(__file__).resolve().parents[2]
OURS = ("guard", "detectors", "gateway", "service")


def sources() -> dict[str, Path]:
    """Dotted module name -> file, for everything that is installed."""
    files = [p for package in OURS[:3] for p in (ROOT / package).rglob("*.py")]
    files.append(ROOT / "service.py")
    return {".".join(p.relative_to(ROOT).with_suffix("").parts): p for p in files if p.exists()}


def unit(module: str, *, from_root: bool = False) -> str | None:
    """Longest unit of ALLOWED that holds ``module``; a name taken from a package root belongs to its __init__."""
    if f"{module}.__init__" in ALLOWED:
        return f"{module}.__init__"
    while module:
        if module in ALLOWED:
            return module
        module = module.rpartition(".")[0]
        if from_root and f"{module}.__init__" in ALLOWED:
            return f"{module}.__init__"
    return None


def imported(path: Path) -> set[str]:
    """Absolute names imported anywhere in a file, also inside functions and TYPE_CHECKING."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import; write the full module name"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def own_name(module: str) -> str:
    """Unit name under which a source file is looked up."""
    return module.removesuffix(".__init__") if module.count(".") > 1 else module


def test_the_rules_have_no_cycle() -> None:
    list(TopologicalSorter(ALLOWED).static_order())


def test_guard_never_looks_up_and_siblings_never_sideways() -> None:
    upward = [(m, d) for m, ds in ALLOWED.items() for d in ds if m.startswith("guard") and not d.startswith("guard")]
    assert upward == []
    assert [(a, b) for a in STAGES for b in STAGES if b in ALLOWED[a]] == []
    assert [(a, b) for a in FAMILIES for b in FAMILIES if b in ALLOWED[a]] == []
    assert [
        (m, d) for m, ds in ALLOWED.items() for d in ds if m.startswith("detectors") and d.startswith("gateway")
    ] == []


def test_imports_follow_the_rules() -> None:
    bad = []
    for module, path in sources().items():
        me = unit(own_name(module))
        assert me is not None, f"{module} belongs to no unit of layers.ALLOWED"
        for name in imported(path):
            if name.split(".")[0] in OURS:
                target = unit(name, from_root=True)
                if target is None or (target != me and target not in ALLOWED[me]):
                    bad.append(f"{module} imports {name}: {me} may not use {target}")
    assert bad == []


def test_files_have_no_cycle() -> None:
    modules = {m.removesuffix(".__init__"): p for m, p in sources().items()}
    graph = {}
    for module, path in modules.items():
        needs = set()
        for name in imported(path):
            while name and name not in modules:
                name = name.rpartition(".")[0]
            needs |= {name} - {"", module}
        graph[module] = needs
    list(TopologicalSorter(graph).static_order())


def test_files_and_functions_stay_short() -> None:
    long_files = {m: n for m, p in sources().items() if (n := len(p.read_text().splitlines())) > MAX_LINES}
    assert long_files == {}
    long_functions = [
        f"{module}.{node.name}: {node.end_lineno - node.lineno + 1}"
        for module, path in sources().items()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno is not None
        and node.end_lineno - node.lineno + 1 > MAX_FUNCTION_LINES
    ]
    assert long_functions == []


def test_only_the_pipeline_builds_the_records_of_the_flow() -> None:
    builders = [
        f"{module}: {node.func.id}"
        for module, path in sources().items()
        if module != "guard.pipeline"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in RECORDS_OF_THE_FLOW
    ]
    assert builders == []


def test_every_unit_exists() -> None:
    known = set(sources()) | {m.removesuffix(".__init__") for m in sources()}
    gone = [u for u in ALLOWED if u not in known and not any(m.startswith(f"{u}.") for m in known)]
    assert gone == [], "layers.ALLOWED names units that no longer exist"


@pytest.mark.parametrize("package", OURS)
def test_importing_is_light(package: str) -> None:
    code = f"import {package}, sys; print([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
