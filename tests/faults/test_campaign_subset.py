"""Some of every kind of fault of `scripts/faults`, in little more than a minute."""

import random
import shutil
from signal import SIGTERM

import pytest
from faults import damage, disk, kills, locks, memory, report, signals
from faults.damage import COUNTS
from faults.laboratory import MODELS, Laboratory, Reference
from representatives import REPRESENTATIVES


@pytest.fixture(scope="module")
def laboratory(tmp_path_factory) -> Laboratory:
    return Laboratory(tmp_path_factory.mktemp("faults"))


@pytest.fixture(scope="module")
def reference(laboratory) -> Reference:
    """A run that nobody disturbed."""
    return laboratory.reference(laboratory.recipe(MODELS[-1], "averaged weights", steps=25), "reference")


def passed(*rows: report.Row) -> bool:
    """Whether there were cases, and all were met as they should be."""
    problems = [problem for row in rows for problem in row.problems]
    assert not problems, "\n".join(problems)
    return all(row.cases for row in rows)


@pytest.mark.representative
@pytest.mark.parametrize("model", REPRESENTATIVES)
def test_a_killed_run_ends_as_if_it_had_not_been(model, laboratory):
    varieties = laboratory.varieties(model)
    variety = varieties[MODELS.index(model) % len(varieties)]
    reference = laboratory.reference(laboratory.recipe(model, variety, steps=15), f"reference-{model}")
    plan = kills.Plan(MODELS.index(model), reference, kills=2, real=False)
    outcome = kills.disturb(laboratory, plan, seed=0)
    assert outcome.phases and not outcome.problems


def test_damaged_checkpoints_are_refused(reference, laboratory):
    folder = laboratory.work / "damaged"
    shutil.copytree(reference.folder, folder)
    damage.link_again(folder)
    few = dict.fromkeys(COUNTS, 2) | {"one bit flipped": 10}
    assert passed(*damage.in_process(folder, 0, few))


def test_a_full_disk_is_said_in_one_line_and_overcome(reference, laboratory):
    size = (reference.folder / "checkpoints/last.safetensors").stat().st_size
    row = report.Row("disk", "a limit on files")
    row.add("below a checkpoint", disk.limited(reference, laboratory.work / "limited", size - 1))
    assert passed(row)


def test_sigterm_leaves_a_checkpoint_to_go_on_from(reference, laboratory):
    case = signals.Case("SIGTERM in training", SIGTERM, MODELS[-1])
    row = report.Row("signals", case.name)
    row.add("", signals.stop_and_resume(reference, case, laboratory.work / "stopped", random.Random(0), []))
    assert passed(row)


def test_a_second_process_in_one_folder_is_refused(reference, laboratory):
    row = report.Row("locks", "a second process")
    row.add("", locks.refused(reference, laboratory.work / "locked"))
    assert passed(row)


def test_growth_of_memory_and_files_is_seen():
    assert list(memory._grown([100, 101], [104, 103])) and not list(memory._grown([100, 101], [101, 101]))
    assert list(memory._more_files([4, 4, 5], [5, 5, 5])) and not list(memory._more_files([4, 4, 5], [4, 5, 4]))


def test_the_table_counts_what_failed():
    row = report.Row("locks", "a fault", remarks="a figure")
    row.add("first", [])
    row.add("second", ["it burns"])
    assert row.problems == ["locks: a fault: second: it burns"]
    assert report.plain([row]).splitlines()[1].split() == ["locks", "a", "fault", "2", "1", "a", "figure"]
    text = report.markdown([row], "scripts/faults locks")
    assert "| locks | a fault | 2 | 1 | a figure |" in text and "torch" in text
