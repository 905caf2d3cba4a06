"""The composition root: a policy gets exactly the checkers it lists, or the start fails and says why."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from guard.assembly import (
    Core,
    build_core,
    build_gateway,
    build_generators,
    build_image_checkers,
    build_prompt_checkers,
)
from guard.credentials import CredentialState
from guard.errors import ConfigError, KeyMaterialError, PluginError, PolicyError
from guard.policy.load import load_named, load_policy
from guard.provenance.dev_ca import init_development_keys
from guard.records import ImageID
from guard.robustness.samples import clouds
from guard.settings import load_settings
from guard.watermark.codec import LatticeWatermarker

POLICIES = Path(__file__).resolve().parents[2] / "policies"


def changed_policy(folder: Path, **checkers: list[dict]) -> Path:
    """Write the default policy with other checkers."""
    document = yaml.safe_load((POLICIES / "generation.default.yaml").read_text())
    document["id"] = "generation.changed"
    document["checkers"] |= checkers
    path = folder / "generation.changed.yaml"
    path.write_text(yaml.safe_dump(document, sort_keys=False))
    return path


@pytest.fixture
def core(tmp_path: Path):
    opened = build_core(load_settings(home=tmp_path / "home"))
    yield opened
    opened.close()


def test_the_bundled_policies_get_every_checker_they_list(core: Core) -> None:
    for name in ("generation.default", "generation.strict"):
        policy = load_named(POLICIES, name)
        listed = [entry.id for entry in policy.document.checkers.prompt]
        assert [c.id for c in build_prompt_checkers(policy, terms=POLICIES / "terms")] == listed
        assert [c.id for c in build_image_checkers(policy, core=core)] == [e.id for e in policy.document.checkers.image]


def test_an_unchecked_service_has_to_say_so(tmp_path: Path, core: Core) -> None:
    entry = {"id": "image.unsafe_unchecked", "because": "pictures are looked at by people later"}
    policy = load_policy(changed_policy(tmp_path, image=[entry]))
    assert [c.id for c in build_image_checkers(policy, core=core)] == ["image.unsafe_unchecked"]


def test_a_checker_that_is_not_there_stops_the_start(tmp_path: Path, core: Core) -> None:
    policy = load_policy(changed_policy(tmp_path, image=[{"id": "image.from_a_plugin"}]))
    with pytest.raises(PluginError, match=r"image\.from_a_plugin"):
        build_image_checkers(policy, core=core)


def test_no_image_checker_at_all_is_no_policy(tmp_path: Path) -> None:
    with pytest.raises(PolicyError):
        load_policy(changed_policy(tmp_path, image=[]))


def test_a_new_period_writes_with_another_key_and_reads_what_is_listed(tmp_path: Path) -> None:
    init_development_keys(tmp_path / "keys", now=datetime.now(UTC))
    picture, image_id = clouds(3), ImageID("00112233445566ff")

    def opened(**settings: str) -> LatticeWatermarker:
        core = build_core(load_settings(home=tmp_path, **settings))
        try:
            return core.watermarker
        finally:
            core.close()

    first, november = opened(), opened(watermark_period="2026-11")
    december = opened(watermark_period="2026-12", watermark_old_periods="2026-10, 2026-11")
    marked = {codec: codec.embed(picture, image_id) for codec in (first, november, december)}
    assert [december.detect(m).image_id for m in marked.values()] == [image_id] * 3
    assert [november.detect(m).image_id for m in marked.values()] == [image_id, image_id, None]
    assert [first.detect(m).image_id for m in marked.values()] == [image_id, None, None]


@pytest.mark.parametrize("wrong", ["2026-11;2026-12", ",", "a,,b", "x" * 33, ",".join("p" * 63)])
def test_periods_in_another_form_stop_the_start(tmp_path: Path, wrong: str) -> None:
    with pytest.raises(ConfigError, match="SIGNET_WATERMARK_OLD_PERIODS"):
        load_settings(home=tmp_path, watermark_old_periods=wrong)


def test_without_keys_reading_works_and_the_rest_says_how_to_make_them(tmp_path: Path) -> None:
    core = build_core(load_settings(home=tmp_path))
    try:
        assert core.reader.read(b"no picture").state in (CredentialState.NONE, CredentialState.UNREADABLE)
        for part in ("keys", "ledger", "watermarker", "signer"):
            with pytest.raises(KeyMaterialError) as caught:
                getattr(core, part)
            assert "signet keys init" in caught.value.diagnostics()
        assert core.recover() == []
    finally:
        core.close()


def test_a_models_file_adds_models_and_a_broken_one_stops_the_start(tmp_path: Path) -> None:
    file = tmp_path / "models.yaml"
    file.write_text("version: 1\nmodels:\n  - id: house\n    source: ./house\n")
    assert set(build_generators(load_settings(home=tmp_path, models=file))) == {"signet-mini", "house"}
    file.write_text("version: 1\nmodels:\n  - id: hub\n    source: someone/model\n    revision: main\n")
    with pytest.raises(ConfigError):
        build_generators(load_settings(home=tmp_path, models=file))


def test_an_unknown_policy_stops_the_start_and_names_those_there_are(tmp_path: Path) -> None:
    init_development_keys(tmp_path / "keys", now=datetime.now(UTC))
    settings = load_settings(home=tmp_path, generation_policy="generation.nothing")
    core = build_core(settings)
    try:
        with pytest.raises(PolicyError, match=r"generation\.default"):
            build_gateway(settings, core=core)
    finally:
        core.close()
