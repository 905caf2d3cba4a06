"""The policy excerpts in docs/image-safety.md are policies, and the digest recipe gives the digest."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from guard.model_source import ModelSource, open_source
from guard.policy.load import load_policy
from tests.guard.test_assembly import changed_policy

DOCUMENT = (Path(__file__).resolve().parents[2] / "docs" / "image-safety.md").read_text(encoding="utf-8")
EXCERPTS = re.findall(r"```yaml\n(.*?)```", DOCUMENT, re.DOTALL)


@pytest.mark.parametrize("excerpt", EXCERPTS)
def test_every_excerpt_is_accepted(tmp_path: Path, excerpt: str) -> None:
    loaded = yaml.safe_load(excerpt)
    changes = {"image": loaded} if isinstance(loaded, list) else loaded["checkers"]
    assert load_policy(changed_policy(tmp_path, **changes)).document.checkers.image


def test_there_are_excerpts_for_every_checker_that_needs_some() -> None:
    for name in ("image.clip_concepts", "image.safety_checker", "image.text", "image.protected", "preview"):
        assert any(name in excerpt for excerpt in EXCERPTS), name


def test_the_recipe_prints_the_digest(tmp_path: Path) -> None:
    (recipe,) = (block for block in re.findall(r"```sh\n(.*?)```", DOCUMENT, re.DOTALL) if "sha256sum" in block)
    folder = tmp_path / "clip"
    (folder / "deep").mkdir(parents=True)
    (folder / ".cache").mkdir()
    for name in ("b.safetensors", "A.json", "deep/c.txt", "README.md", "LICENSE", "digests.json", ".cache/note"):
        (folder / name).write_text(name)
    done = subprocess.run(
        ["bash", "-c", recipe.replace("/models/clip", str(folder))], capture_output=True, text=True, check=True
    )
    assert open_source(ModelSource(folder=folder, digest=done.stdout.split()[0]), what="The model") == folder
