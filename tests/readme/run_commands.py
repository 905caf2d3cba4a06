"""Run every command of the README, in order, in a copy of the checkout: ``python -m tests.readme.run_commands``.

All ``sh`` blocks become one script, so that what one block sets up the next one uses, as for a reader. ``make test`` is
left out: whoever runs this has just run it. The ``python`` block runs last, in the same folder.
"""

import os
import re
import subprocess
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"^```(sh|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(kind: str) -> list[str]:
    """Return the README's code blocks of one language."""
    found = [body for language, body in BLOCK.findall((ROOT / "README.md").read_text()) if language == kind]
    assert found, f"the README has no {kind} block"
    return found


def main() -> int:
    """Run the README; return the exit code of the first command that fails."""
    with tempfile.TemporaryDirectory(prefix="signet-readme-") as folder:
        checkout, venv = Path(folder) / "signet", Path(folder) / "venv"
        subprocess.run(["git", "clone", "-q", str(ROOT), str(checkout)], check=True)
        (checkout / "readme.py").write_text("\n".join(blocks("python")))
        lines = [line for body in blocks("sh") for line in body.splitlines() if line.strip() != "make test"]
        script = "\n".join(["set -euo pipefail", "set -x", *lines, "python readme.py", "ls -l -- *.png"])
        environment = os.environ | {
            "PATH": f"{venv / 'bin'}{os.pathsep}{os.environ['PATH']}",  # `make demo`, the first command, makes it
            "VENV": str(venv),
        }
        return subprocess.run(["bash", "-c", script], cwd=checkout, env=environment, check=False).returncode


if __name__ == "__main__":
    raise SystemExit(main())
