"""Measuring, resuming and reporting, with a codec that is scripted to miss."""

import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.errors import RequestError, VerificationError
from guard.records import RGB8, ImageID, MarkReading
from guard.robustness.catalogue import choose
from guard.robustness.envelope import open_report, sign_report
from guard.robustness.measure import RobustnessRun, image_id_for, read_outcomes
from guard.robustness.report import build_report, size_class, unmet, wilson
from guard.robustness.report_html import render_html
from guard.robustness.samples import Sample

ATTACKS = choose(only=["none", "mirror", "resize 0.75", "resize 0.5", "crop 0.5"])
NOW = datetime(2026, 11, 22, tzinfo=UTC)


class CornerCodec:
    """Writes the id into the first pixels; loses it when they move, and misreads small pictures."""

    algorithm = "test.corner.1"

    def embed(self, pixels: RGB8, image_id: ImageID) -> RGB8:
        out = pixels.copy()
        out[0, :8, 0] = list(bytes.fromhex(image_id))
        out[0, 8] = (1, 2, 3)
        return out

    def detect(self, pixels: RGB8) -> MarkReading:
        if pixels.shape[1] == 48:  # resize 0.75: another id is accepted
            return MarkReading(algorithm=self.algorithm, image_id=ImageID("ff" * 8), log10_p=-12.0)
        if pixels.shape[1] == 32 and pixels[0, 8].tolist() != [1, 2, 3]:  # halved: read, but not accepted
            return MarkReading(algorithm=self.algorithm, image_id=image_id_for(0), log10_p=-8.9)
        if pixels[0, 8].tolist() != [1, 2, 3]:
            return MarkReading(algorithm=self.algorithm, image_id=None, log10_p=-0.3)
        return MarkReading(algorithm=self.algorithm, image_id=ImageID(bytes(pixels[0, :8, 0]).hex()), log10_p=-30.0)


def samples(count: int) -> list[Sample]:
    rng = np.random.default_rng(0)
    return [
        Sample(source="a" if i % 2 else "b", name=f"p{i}", index=i, pixels=rng.integers(20, 256, (64, 64, 3), np.uint8))
        for i in range(count)
    ]


def test_every_attack_is_judged_by_exact_id_and_bound(tmp_path: Path) -> None:
    run = RobustnessRun(CornerCodec(), ATTACKS, results=tmp_path / "r.jsonl")
    (done,) = run.measure(samples(1))
    verdicts = {o.attack: (o.exact, o.wrong) for o in done.outcomes}
    assert verdicts == {
        "none": (True, False),
        "mirror": (False, False),
        "resize 0.75": (False, True),
        "resize 0.5": (False, False),  # right id, but above the bound
        "crop 0.5": (False, False),
    }
    assert done.quality.psnr_db > 30


def test_a_run_goes_on_where_it_stopped_even_after_a_torn_line(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "r.jsonl"
    assert len(list(RobustnessRun(CornerCodec(), ATTACKS, results=path).measure(samples(3)))) == 3
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:-1]) + lines[-1][:40])  # a crash leaves no line end
    again = RobustnessRun(CornerCodec(), ATTACKS, results=path)
    assert [done.name for done in again.measure(samples(4))] == ["p2", "p3"]
    assert len(read_outcomes(path, again.digest)) == 4
    assert RobustnessRun(CornerCodec(), ATTACKS, results=path).digest == again.digest
    assert list(again.measure(samples(4))) == []


def test_bits_are_counted_and_older_files_without_them_still_read(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    run = RobustnessRun(CornerCodec(), ATTACKS, results=path)
    (done,) = run.measure(samples(1))
    wrong = 1 - (int("ff" * 8, 16) ^ int(image_id_for(0), 16)).bit_count() / 64
    assert {o.attack: o.bit_accuracy for o in done.outcomes} == {
        "none": 1.0,
        "mirror": 0.5,
        "resize 0.75": wrong,
        "resize 0.5": 0.5,
        "crop 0.5": 0.5,
    }
    header, line = path.read_text().splitlines()
    row = json.loads(line)
    for outcome in row["outcomes"]:
        del outcome["bits"]
    path.write_text(f"{header}\n{json.dumps(row)}\n")
    (older,) = read_outcomes(path, run.digest)
    assert [o.bit_accuracy for o in older.outcomes] == [1.0, 0.5, 0.5, 0.5, 0.5]
    del row["quality"]["ssim"]
    path.write_text(f"{header}\n{json.dumps(row)}\n")
    with pytest.raises(RequestError, match="another form"):
        read_outcomes(path, run.digest)


def test_a_results_file_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(RequestError, match="cannot be used"):
        RobustnessRun(CornerCodec(), ATTACKS, results=tmp_path / "file" / "r.jsonl")


def test_results_of_another_run_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    RobustnessRun(CornerCodec(), ATTACKS, results=path)
    with pytest.raises(RequestError, match="another codec or other attacks"):
        RobustnessRun(CornerCodec(), ATTACKS[:2], results=path)
    path.write_text("hello\n")
    with pytest.raises(RequestError, match="no robustness results"):
        RobustnessRun(CornerCodec(), ATTACKS, results=path)


@pytest.fixture
def report(tmp_path: Path) -> dict[str, object]:
    run = RobustnessRun(CornerCodec(), ATTACKS, results=tmp_path / "r.jsonl")
    outcomes = list(run.measure(samples(12)))
    return build_report(outcomes, ATTACKS, codec="test.corner.1", version="0", made_at=NOW)


def test_the_report_counts_rates_intervals_and_the_worst_class(report: dict) -> None:
    rows = {row["id"]: row for row in report["attacks"]}
    assert rows["none"]["all"]["rate"] == 1.0
    assert rows["none"]["all"]["low"] == pytest.approx(0.757, abs=0.002)  # Wilson, 12 of 12
    assert rows["mirror"]["all"]["rate"] == 0.0
    assert report["wrong_ids"] == 12
    assert report["pictures"] == {"a": 6, "b": 6}
    assert rows["none"]["by"]["source"]["a"]["pictures"] == 6
    assert rows["none"]["worst"]["rate"] == 1.0
    assert unmet(report) == ["mirror", "resize 0.75", "resize 0.5", "crop 0.5"]


def test_nothing_measured_is_no_report() -> None:
    with pytest.raises(RequestError, match="no results"):
        build_report([], ATTACKS, codec="c", version="0", made_at=NOW)


def test_the_page_names_every_attack_escapes_and_draws_the_curves(report: dict) -> None:
    report["codec"] = "<script>x</script>"
    page = render_html(report)
    assert "<script>" not in page
    assert all(f"<td>{row['id']}</td>" in page for row in report["attacks"])
    assert "<th>bits right</th>" in page
    assert "<th>textured</th><th>below 512 px</th>" in page
    assert page.count("<svg") == 1  # resize has two points; the other curves have one
    assert "(below)" in page


def test_a_signed_report_opens_with_the_key_and_with_no_other(report: dict) -> None:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    public, other = (
        Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw() for seed in (bytes(32), b"\1" * 32)
    )
    text = sign_report(report, bytes(32))
    assert open_report(text, public) == json.loads(json.dumps(report))
    with pytest.raises(VerificationError, match="not signed by the key"):
        open_report(text, other)
    envelope = json.loads(text)
    envelope["payload"] = sign_payload_of(sign_report({**report, "wrong_ids": 0}, b"\1" * 32))
    with pytest.raises(VerificationError, match="changed after signing"):
        open_report(json.dumps(envelope), public)
    for bad in ("", "{}", "[]", '{"payload": 1}', text.replace("robustness+json", "other"), "[" * 200_000):
        with pytest.raises(RequestError):
            open_report(bad, public)


def sign_payload_of(text: str) -> str:
    return str(json.loads(text)["payload"])


@given(trials=st.integers(1, 400), share=st.floats(0, 1))
def test_the_interval_holds_the_rate_and_narrows_with_more_trials(trials: int, share: float) -> None:
    hits = round(share * trials)
    low, high = wilson(hits, trials)
    assert 0 <= low <= hits / trials <= high <= 1
    more = wilson(hits * 4, trials * 4)
    assert more[1] - more[0] < high - low


def test_without_trials_nothing_is_known() -> None:
    assert wilson(0, 0) == (0.0, 1.0)


def test_sizes_are_classed_by_the_shorter_side() -> None:
    assert [size_class(2000, s) for s in (511, 512, 1023, 1024)] == [
        "below 512 px",
        "512 to 1023 px",
        "512 to 1023 px",
        "1024 px and more",
    ]
