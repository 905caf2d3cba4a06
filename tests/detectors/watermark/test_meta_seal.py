"""Meta Seal: exact chance bounds, listed messages only, and TorchScript that runs in a worker or not at all."""

import math
import warnings
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.watermark.meta_seal import LOG10_CHANCE, MetaSealReader, log10_chance, match
from guard.errors import ConfigError, DeadlineError, WeightsError
from guard.watermark.invisible_watermark import KnownPayload
from guard.weights import WeightSpec, sha256_file

BITS = tuple(int(bit) for bit in np.random.default_rng(5).integers(0, 2, 64))
OURS = KnownPayload(writer="us", bits=BITS)
PICTURE = np.random.default_rng(1).integers(0, 256, (80, 96, 3)).astype(np.uint8)


@given(bits=st.integers(1, 40), messages=st.integers(1, 50), data=st.data())
def test_the_bound_is_the_binomial_tail(bits: int, messages: int, data: st.DataObject) -> None:
    wrong = data.draw(st.integers(0, bits))
    tail = sum(Fraction(math.comb(bits, i), 2**bits) for i in range(wrong + 1))
    assert log10_chance(bits, wrong, messages) == pytest.approx(min(0.0, math.log10(messages * tail)), abs=1e-9)


def answers(wrong: int) -> list[float]:
    return [(2.0 * bit - 1.0) * (-1.0 if place < wrong else 1.0) for place, bit in enumerate(BITS)]


def test_a_message_counts_as_far_as_chance_does_not_explain_it() -> None:
    furthest = max(n for n in range(32) if log10_chance(64, n, 1) <= LOG10_CHANCE)
    found = match(answers(furthest), (OURS,), scheme="s")
    assert found is not None
    assert (found.writer, found.wrong_bits, found.bits) == ("us", furthest, 64)
    assert match(answers(furthest + 1), (OURS,), scheme="s") is None
    crowd = tuple(KnownPayload(writer=str(n), bits=tuple(np.roll(BITS, n + 1).tolist())) for n in range(20))
    assert match(answers(furthest), (OURS, *crowd), scheme="s") is None  # more messages, more chances


def test_answers_that_are_no_bits_are_no_mark() -> None:
    assert match([math.nan] * 64, (OURS,), scheme="s") is None
    assert match([1.0] * 63, (OURS,), scheme="s") is None


def test_a_reader_without_messages_is_a_mistake() -> None:
    with pytest.raises(ConfigError, match="messages to look for"):
        MetaSealReader(Path("x"), spec_of(Path(__file__)), known=())


def spec_of(path: Path) -> WeightSpec:
    return WeightSpec(
        id="tiny",
        revision="1",
        sha256=sha256_file(path),
        size_bytes=path.stat().st_size,
        licence="MIT",
        source_url="https://example.org",
    )


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A program with ``detect`` that answers BITS for bright pictures, their opposite for dark ones, hangs on black."""
    torch = pytest.importorskip("torch")
    path = tmp_path_factory.mktemp("seal") / "model.jit"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript is deprecated; it is what Meta publishes
        from tests.detectors.watermark.tiny_seal import TinySeal

        torch.jit.save(torch.jit.script(TinySeal(BITS)), str(path))
    return path


@pytest.mark.slow
def test_the_program_runs_in_a_worker_that_can_be_stopped(script: Path) -> None:
    reader = MetaSealReader(script, spec_of(script), known=(OURS,))
    found = reader.read(PICTURE)
    assert found is not None
    assert (found.writer, found.wrong_bits) == ("us", 0)
    assert reader.read(PICTURE // 8) is None
    hasty = MetaSealReader(script, spec_of(script), known=(OURS,), deadline_s=1.0)
    with pytest.raises(DeadlineError):
        hasty.read(np.zeros((64, 64, 3), np.uint8))


@pytest.mark.slow
def test_another_program_is_never_loaded(script: Path, tmp_path: Path) -> None:
    other = tmp_path / "model.jit"
    other.write_bytes(script.read_bytes() + b"\0")
    with pytest.raises(WeightsError, match="SHA-256"):
        MetaSealReader(other, spec_of(script), known=(OURS,)).read(PICTURE)
