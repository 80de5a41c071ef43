"""The benchmark of the server gives figures."""

from __future__ import annotations

import json
from pathlib import Path

from tests.support import call


def test_the_server_is_measured(trained: Path) -> None:
    asked = (
        "--clients",
        1,
        "--clients",
        3,
        "--requests",
        2,
        "--rounds",
        1,
        "-n",
        5,
        "--threads",
        1,
    )
    done = call("bench", "serve", trained, *asked, "--json")
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    assert report["requests"] == 2
    assert [row["clients"] for row in report["rows"]] == [1, 3]
    for row in report["rows"]:
        assert 0 < row["first_character"] <= row["slowest_first_character"]
        assert min(row.values()) > 0
