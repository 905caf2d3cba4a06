"""A process that releases images in a loop, for the crash tests: store the bytes, append, acknowledge on stdout."""

import sys
from pathlib import Path

from guard.ledger.image_store import FileImageStore
from tests.guard.ledger.samples import open_ledger, registration, release


def main(folder: Path, first: int, count: int) -> None:
    """Release images ``first`` .. ``first + count - 1``."""
    images, ledger = FileImageStore(folder / "images"), open_ledger(folder / "ledger.sqlite")
    print("ready", flush=True)
    for number in range(first, first + count):
        data = b"pixels %d " % number * 500
        row = registration(number, data=data)
        images.put(row.image_id, data, media_type=row.media_type)
        ledger.append(release(number, row), registration=row)
        print(number, flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
