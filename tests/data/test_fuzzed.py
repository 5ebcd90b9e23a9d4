"""Whatever a file holds, it is read or refused in words; `python -m tests.bench.fuzz` tries far more of them."""

import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings

from studio.data import uploads
from studio.errors import StudioError
from studio.service import library
from tests.bench.fuzz_files import anything


@settings(max_examples=60, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(anything())
def test_odd_files_of_every_format_are_read_or_refused_in_words(file):
    name, data = file
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / name
        path.write_bytes(data)
        try:
            found = library.check(library.Files(uploads.read(path)))
        except StudioError as error:
            assert error.message and "\n" not in error.message[:1]
        else:
            assert found.report.read == found.report.rows + sum(each.count for each in found.report.refused)
