"""Hostile and mistaken input is refused in one message, without taking memory, running code or writing anywhere."""

import gc
import sys

import pytest
from faults.hostile import CASES, Case, baseline, run

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks at children by means that Linux has")

MEMORY = 2**30
"""Bytes above those of a harmless command that a case may take."""


@pytest.fixture(scope="module")
def harmless(tmp_path_factory) -> int:
    gc.collect()
    return baseline(tmp_path_factory.mktemp("harmless"))


def test_there_are_enough_cases_of_different_names():
    assert len({case.name for case in CASES}) == len(CASES) >= 45


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_is_refused(case: Case, harmless, tmp_path):
    outcome = run(case, tmp_path)
    assert outcome.code == case.code, outcome
    assert case.says in outcome.err
    assert "Traceback" not in outcome.err + outcome.out and "hunter2" not in outcome.err + outcome.out
    if case.code:
        lines = [line[:8] for line in outcome.err.splitlines() if not line.startswith(("        ", "run        "))]
        assert lines == ["genlab: "], "one message, after the name of the folder that a run would have had"
        assert outcome.changed == [], "a refused request leaves nothing behind"
    assert not [path for path, _ in outcome.changed if not path.startswith("run")], "nothing is written elsewhere"
    if case.run:
        assert outcome.loaded.startswith("ValueError: ") and case.says in outcome.loaded
    assert outcome.peak - harmless < MEMORY
