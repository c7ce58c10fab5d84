"""How many cores there are to use: affinity, hardware threads, containers."""

import os

import pytest

from genlab.system import cores


def machine(monkeypatch, tmp_path, siblings, quota=None):
    """A made-up machine: `siblings` names the core of each logical CPU, `quota` is what its container's file says."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(siblings), raising=False)
    monkeypatch.setattr(cores, "_TOPOLOGY", str(tmp_path / "cpu{}"))
    for cpu, core in siblings.items():
        if core is not None:
            (tmp_path / f"cpu{cpu}").write_text(f"{core}\n")
    for name in ("_QUOTA", "_OLD_QUOTA", "_OLD_PERIOD"):
        monkeypatch.setattr(cores, name, tmp_path / name)
    for name, text in (quota or {}).items():
        (tmp_path / name).write_text(text)


FOUR_CORES = {cpu: f"{cpu % 4},{cpu % 4 + 4}" for cpu in range(8)}


@pytest.mark.parametrize(
    "siblings, quota, expected",
    [
        (FOUR_CORES, None, 4),
        (FOUR_CORES, {"_QUOTA": "max 100000\n"}, 4),
        (FOUR_CORES, {"_QUOTA": "150000 100000\n"}, 2),
        (FOUR_CORES, {"_QUOTA": "10000 100000\n"}, 1),
        (FOUR_CORES, {"_QUOTA": "800000 100000\n"}, 4),
        (FOUR_CORES, {"_OLD_QUOTA": "-1\n", "_OLD_PERIOD": "100000\n"}, 4),
        (FOUR_CORES, {"_OLD_QUOTA": "300000\n", "_OLD_PERIOD": "100000\n"}, 3),
        (FOUR_CORES, {"_QUOTA": "nonsense"}, 4),
        ({0: "0,4", 4: "0,4", 1: "1,5"}, None, 2),  # the affinity mask leaves three CPUs
        ({0: None, 1: None, 2: None}, None, 3),  # CPUs that tell nothing count as cores
    ],
)
def test_cores_are_those_of_the_affinity_mask_that_the_quota_pays_for(siblings, quota, expected, monkeypatch, tmp_path):
    machine(monkeypatch, tmp_path, siblings, quota)
    assert cores.available() == expected


def test_this_machine_has_some():
    assert 1 <= cores.available() <= os.cpu_count()
