"""What `make audit` says of what pip-audit found, or could not find out."""

import json

from tests.audit import outcome

FINE = {"name": "torch", "version": "2.13.0", "vulns": []}


def test_no_hole_is_said_only_where_the_list_was_read():
    assert outcome(json.dumps({"dependencies": [FINE]}), "") == (0, "No known hole in 1 packages.")
    for stdout in ("", "[]", "{}", "null", "no JSON"):
        status, told = outcome(stdout, "one line\nConnectionError: pypi.org")
        assert status == 2
        assert told.startswith("Nothing was checked")
        assert "ConnectionError: pypi.org" in told


def test_a_mirror_that_knows_of_no_holes_is_no_all_clear():
    skipped = {"name": "torch", "skip_reason": "Dependency not found on PyPI and could not be audited"}
    for packages in ([], [skipped]):
        status, told = outcome(json.dumps({"dependencies": packages}), "")
        assert status == 2
        assert told.startswith("Nothing was checked")


def test_every_hole_is_listed_and_so_is_what_was_not_checked():
    found = [{"id": "CVE-1", "fix_versions": ["2"]}, {"id": "CVE-2", "fix_versions": []}]
    hole = {"name": "pillow", "version": "1", "vulns": found}
    skipped = {"name": "studio", "skip_reason": "it is on no index"}
    status, told = outcome(json.dumps({"dependencies": [FINE, hole, skipped]}), "")
    assert status == 1
    assert told.splitlines() == [
        "pillow 1: CVE-1, mended in 2",
        "pillow 1: CVE-2, mended in none",
        "not checked: studio, it is on no index",
    ]
