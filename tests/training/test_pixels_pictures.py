"""Which pictures may train: by licence field, by repository, each file once."""

import json
from pathlib import Path

import pytest

from training.pixels.pictures import Part, licence_allows, read_pictures


@pytest.mark.parametrize(
    "licence",
    [
        "CC0-1.0",
        "MIT (LICENSE)",
        "Apache-2.0",
        "CC-BY-4.0 (README)",
        "BSD-style (License.txt)",
        "CreativeML OpenRAIL-M",
    ],
)
def test_permissive_licences_allow_training(licence: str) -> None:
    assert licence_allows(licence)


@pytest.mark.parametrize(
    "licence",
    [
        "unstated (COCO, Flickr CC)", "none-found", "none stated", "CC-BY-NC", "CC-BY-NC-SA-4.0", "CC-BY-SA-4.0",
        "AGPL-3.0 (repo LICENSE)", "academic/non-commercial only (README)", "MIT (code); press photos",
        "MIT (repo LICENSE); photos scraped from the web", "Tencent custom", "custom (see repo LICENSE)",
    ],
)  # fmt: skip
def test_everything_else_only_judges(licence: str) -> None:
    assert not licence_allows(licence)


def rows(count: int, *, repo: str = "a/b", licence: str = "none stated") -> list[dict[str, object]]:
    return [
        {
            "file": f"{repo}-{i}.png", "sha256": f"{repo}{i}", "label": "generated", "source_group": "g", "repo": repo,
            "license": licence, "generator": "sdxl-ft", "layout": "2x2-grid-of-single-512px-images",
        }
        for i in range(count)
    ]  # fmt: skip


def test_a_repository_is_on_one_side(tmp_path: Path) -> None:
    manifest = tmp_path / "m.jsonl"
    repos = [f"owner/{i}" for i in range(60)]
    manifest.write_text("\n".join(json.dumps(r) for repo in repos for r in rows(3, repo=repo)))
    pictures = read_pictures([manifest, manifest])
    assert len(pictures) == 180
    sides = {repo: {p.part for p in pictures if p.repo == repo} for repo in repos}
    assert all(len(side) == 1 for side in sides.values())
    calibration = sum(side == {Part.CALIBRATION} for side in sides.values())
    assert 8 <= calibration <= 32
    assert {p.family for p in pictures} == {"sdxl"}
    assert {p.grid for p in pictures} == {2}
