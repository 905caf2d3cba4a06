"""Protected pictures are found again after what people do to copies; others are left alone."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data

from guard.errors import ConfigError
from guard.fingerprint import fingerprints
from guard.protected_set.checker import ProtectedSetChecker
from guard.protected_set.entry import ProtectedEntry
from guard.protected_set.store import ProtectedStore
from guard.records import RGB8
from tests.guard.watermark.pictures import clipped, jpeg, photo, resized

COPIES = {
    "as it is": lambda x: x,
    "JPEG 40": lambda x: jpeg(x, 40),
    "half the size": lambda x: resized(x, 0.5),
    "brighter": lambda x: clipped(x.astype(np.float32) * 1.2),
    "mirrored": lambda x: np.ascontiguousarray(x[:, ::-1]),
    "turned": lambda x: np.ascontiguousarray(np.rot90(x)),
    "grey": lambda x: np.repeat(np.asarray(Image.fromarray(x).convert("L"))[..., None], 3, axis=2),
}


def entry(pixels: RGB8, **changes) -> ProtectedEntry:
    prints = fingerprints(pixels)
    values = {
        "list_name": "works",
        "label": "one.png",
        "category": "trademark_style",
        "severity": 6,
        "hard": False,
        "pdq": prints.pdq,
        "quality": prints.pdq_quality,
    }
    return ProtectedEntry(**(values | changes))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ProtectedStore]:
    opened = ProtectedStore(tmp_path / "home" / "protected.sqlite3")
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def astronaut() -> RGB8:
    return photo("astronaut", (480, 480))


@pytest.mark.parametrize("name", COPIES)
def test_a_copy_is_found(store: ProtectedStore, astronaut: RGB8, name: str) -> None:
    store.add([entry(astronaut)])
    (finding,) = ProtectedSetChecker(store).check(COPIES[name](astronaut))
    assert (finding.category, finding.severity, finding.hard) == ("trademark_style", 6, False)
    assert finding.score > 0.9
    assert "'works'" in finding.reason


def test_other_pictures_are_left_alone(store: ProtectedStore, astronaut: RGB8) -> None:
    store.add([entry(astronaut)])
    checker = ProtectedSetChecker(store)
    plain = np.full((256, 256, 3), 200, np.uint8)
    for other in (data.coffee(), data.chelsea(), data.rocket(), plain):
        assert checker.check(np.ascontiguousarray(other)) == []


def test_an_empty_set_finds_nothing(store: ProtectedStore, astronaut: RGB8) -> None:
    assert ProtectedSetChecker(store).check(astronaut) == []


def test_a_running_checker_sees_what_is_added_changed_and_removed(store: ProtectedStore, astronaut: RGB8) -> None:
    checker = ProtectedSetChecker(store)
    assert checker.check(astronaut) == []
    store.add([entry(astronaut)])
    assert len(checker.check(astronaut)) == 1
    store.add([entry(astronaut, hard=True, category="shocking", severity=7)])
    (finding,) = checker.check(astronaut)
    assert (finding.hard, finding.category, finding.severity) == (True, "shocking", 7)
    store.add([entry(astronaut, list_name="removed")])
    assert len(checker.check(astronaut)) == 2
    assert store.remove(list_name="works", label="one.png") == 1
    assert len(checker.check(astronaut)) == 1
    assert store.remove(list_name="removed") == 1
    assert checker.check(astronaut) == []


def test_the_distance_limit_is_the_policys(store: ProtectedStore, astronaut: RGB8) -> None:
    near = bytearray.fromhex(fingerprints(astronaut).pdq)
    near[0] ^= 0b11111
    store.add([entry(astronaut, pdq=bytes(near).hex())])
    assert ProtectedSetChecker(store, max_distance=4).check(astronaut) == []
    (finding,) = ProtectedSetChecker(store, max_distance=5).check(astronaut)
    assert "5 of 256" in finding.reason


def test_a_file_that_is_no_database_says_so(tmp_path: Path) -> None:
    (tmp_path / "protected.sqlite3").write_bytes(b"something else " * 50)
    with pytest.raises(ConfigError, match="cannot be used"):
        ProtectedStore(tmp_path / "protected.sqlite3")


def test_a_nearer_soft_entry_of_the_same_list_does_not_hide_a_hard_one(store: ProtectedStore, astronaut: RGB8) -> None:
    farther = bytearray.fromhex(fingerprints(astronaut).pdq)
    farther[0] ^= 0b111
    store.add([entry(astronaut, hard=True, severity=7, pdq=bytes(farther).hex()), entry(astronaut, severity=1)])
    found = {(finding.hard, finding.severity) for finding in ProtectedSetChecker(store).check(astronaut)}
    assert found == {(True, 7), (False, 1)}


def test_a_list_of_a_thousand_frames_of_one_film_costs_one_question(
    store: ProtectedStore, astronaut: RGB8, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = []
    for number in range(1000):
        frame = bytearray.fromhex(fingerprints(astronaut).pdq)
        frame[:2] = (int.from_bytes(frame[:2], "big") ^ number).to_bytes(2, "big")
        rows.append(entry(astronaut, pdq=bytes(frame).hex()))
    assert store.add([*rows, rows[0]]) == 1000
    asked: list[int] = []
    numbered = store.numbered
    monkeypatch.setattr(store, "numbered", lambda given: asked.append(len(given)) or numbered(given))
    monkeypatch.setattr(store, "entry", lambda number: pytest.fail("one question for each frame"))
    (finding,) = ProtectedSetChecker(store).check(astronaut)
    assert asked == [1000]
    assert "0 of 256" in finding.reason
