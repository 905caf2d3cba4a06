import hashlib
from pathlib import Path

import pytest

from guard.errors import PolicyError
from guard.policy.load import load_named, load_policy, policy_names
from guard.policy.schema import TUNABLE, ClassifierEntry, NudityEntry, ProtectedSetEntry, TermsEntry

POLICIES = Path(__file__).resolve().parents[3] / "policies"
TRADEMARK = "trademark_style: [{action: block, min_score: 0.90, stages: [image]}]"
GOOD = (POLICIES / "generation.default.yaml").read_text()


def written(folder: Path, text: str, name: str = "mine.yaml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_bundled_policies_are_found_by_name() -> None:
    assert {"generation.default", "generation.strict"} <= set(policy_names(POLICIES))


@pytest.mark.parametrize("name", policy_names(POLICIES))
def test_every_bundled_policy_loads_and_decides_every_category(name: str) -> None:
    policy = load_named(POLICIES, name)
    assert policy.id == name
    assert policy.digest == hashlib.sha256((POLICIES / f"{name}.yaml").read_bytes()).hexdigest()
    assert set(policy.document.categories) == set(TUNABLE)


def test_the_prefix_of_a_name_is_optional() -> None:
    assert load_named(POLICIES, "strict").digest == load_named(POLICIES, "generation.strict").digest


def test_entries_are_typed() -> None:
    checkers = load_named(POLICIES, "default").document.checkers
    terms, classifier = checkers.prompt
    assert isinstance(terms, TermsEntry)
    assert "sexual.en" in terms.lists
    assert isinstance(classifier, ClassifierEntry)
    assert 0 < classifier.report_above < 0.5
    nudity, protected = checkers.image
    assert isinstance(nudity, NudityEntry)
    assert nudity.classes["FEMALE_GENITALIA_EXPOSED"].severity >= 5
    assert isinstance(protected, ProtectedSetEntry)


def test_a_plug_in_is_named_by_id_with_options(tmp_path: Path) -> None:
    text = GOOD.replace(
        "report_above: 0.2", "report_above: 0.2\n    - id: prompt.house_rules\n      options: {lang: en}"
    )
    entry = load_policy(written(tmp_path, text)).document.checkers.prompt[-1]
    assert (entry.id, entry.options) == ("prompt.house_rules", {"lang": "en"})  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("version: 1", "version: 2", "version"),
        ("title:", "titel:", "titel"),
        (TRADEMARK, "", "trademark_style"),
        (TRADEMARK, "trademark_style: []\n  sexual_minors: []", "always blocked"),
        (TRADEMARK, "trademark_style: []\n  weather: []", "weather"),
        (TRADEMARK, "trademark_style: [{action: allow, min_score: 0.1}]", "action"),
        (TRADEMARK, "trademark_style: [{action: flag, min_score: 1.5}]", "min_score"),
        (TRADEMARK, "trademark_style: [{action: flag, min_score: '0.5'}]", "min_score"),
        (TRADEMARK, "trademark_style: [{action: flag, min_score: .nan}]", "NaN"),
        (TRADEMARK, "trademark_style: [{action: flag, min_score: 1, min_severity: 8}]", "min_severity"),
        (TRADEMARK, "trademark_style: [{action: flag, min_score: 1, stages: []}]", "stages"),
        (TRADEMARK, "trademark_style: []\n  trademark_style: []", "written twice"),
        (TRADEMARK, "trademark_style: &x []\nmore: *x", "aliases"),
        ("id: prompt.terms", "id: prompt.classifier", "prompt"),
        ("- id: prompt.classifier\n      report_above: 0.2", "- id: prompt.terms\n      lists: [a]", "listed twice"),
        ("title: General", "title: 2026-11-22\nx: General", "date"),
        ("title: General", "title: !!python/name:os.system x", "strict YAML"),
    ],
)
def test_a_broken_policy_does_not_load(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in GOOD
    with pytest.raises(PolicyError, match=message):
        load_policy(written(tmp_path, GOOD.replace(old, new, 1)))


@pytest.mark.parametrize("stage", ["prompt", "image"])
def test_an_empty_checker_list_does_not_load(tmp_path: Path, stage: str) -> None:
    head, _, rest = GOOD.partition(f"  {stage}:\n")
    tail = rest[rest.index("\n  image:") :] if stage == "prompt" else rest[rest.index("\ncategories:") :]
    with pytest.raises(PolicyError, match=f"checkers.{stage}"):
        load_policy(written(tmp_path, f"{head}  {stage}: []\n{tail}"))


def test_the_hard_rules_cannot_be_left_out(tmp_path: Path) -> None:
    start, end = GOOD.index("    - id: prompt.terms"), GOOD.index("    - id: prompt.classifier")
    with pytest.raises(PolicyError, match=r"prompt\.terms carries the hard rules"):
        load_policy(written(tmp_path, GOOD[:start] + GOOD[end:]))


def test_unchecked_pictures_need_a_reason_and_stand_alone(tmp_path: Path) -> None:
    start, end = GOOD.index("    - id: image.nudity"), GOOD.index("\ncategories:")
    short = GOOD[:start] + "    - {id: image.unsafe_unchecked, because: no}\n" + GOOD[end:]
    with pytest.raises(PolicyError, match="because"):
        load_policy(written(tmp_path, short))
    both = GOOD[:end] + "    - {id: image.unsafe_unchecked, because: we look ourselves}\n" + GOOD[end:]
    with pytest.raises(PolicyError, match="contradicts"):
        load_policy(written(tmp_path, both))


@pytest.mark.parametrize("data", [b"", b"[]", b"- 1", b"\xff\xfe\x00", b"a: [", b"x" * 600_000])
def test_what_is_not_a_policy_does_not_load(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "mine.yaml"
    path.write_bytes(data)
    with pytest.raises(PolicyError):
        load_policy(path)


def test_a_missing_file_or_name_says_what_there_is(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="cannot be read"):
        load_policy(tmp_path / "none.yaml")
    with pytest.raises(PolicyError, match=r"there are: generation\.children, generation\.default"):
        load_named(POLICIES, "nope")
    with pytest.raises(PolicyError, match="cannot be read"):
        load_named(tmp_path / "nowhere", "default")


def test_a_policy_is_called_what_its_file_says(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="rename"):
        load_policy(written(tmp_path, GOOD, "generation.lenient.yaml"))
