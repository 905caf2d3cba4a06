"""ExifTool, which knows nothing of us, reads the digital source type from our PNG and JPEG files."""

import json
import subprocess
from pathlib import Path

import pytest

from guard.provenance.source_types import TRAINED_ALGORITHMIC_MEDIA
from guard.records import ImageFormat
from tests.conformance.conftest import program
from tests.guard.provenance.support import Identity


@pytest.mark.parametrize("image_format", [ImageFormat.PNG, ImageFormat.JPEG])
def test_exiftool_reads_the_source_type(image_format: ImageFormat, tmp_path: Path) -> None:
    exiftool = program("exiftool")
    path = tmp_path / f"signed{image_format.suffix}"
    path.write_bytes(Identity.make(tmp_path / "keys").signed(image_format))
    done = subprocess.run([exiftool, "-json", "-G", path], capture_output=True, text=True, check=True)
    (said,) = json.loads(done.stdout)
    stated = [value for name, value in said.items() if name.endswith("DigitalSourceType")]
    assert TRAINED_ALGORITHMIC_MEDIA in [v for value in stated for v in (value if isinstance(value, list) else [value])]
