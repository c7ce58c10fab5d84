"""How many cores there are to use: affinity, hardware threads, containers."""

import os

import pytest

from genlab.system import cores


def machine(monkeypatch, tmp_path, siblings, quota=None):
    """A made-up machine: `siblings` names the core of each logical CPU, `quota` is what its container's file says."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(siblings), raising=False)
    monkeypatch.setattr(cores, "_TOPOLOGY", str(tmp_path / "cpu{}"))
    for cpu, core in siblings.items():
        (tmp_path / f"cpu{cpu}").write_text(f"{core}\n")
    for name in ("_QUOTA", "_OLD_QUOTA", "_OLD_PERIOD"):
        monkeypatch.setattr(cores, name, tmp_path / name)
    for name, text in (quota or {}).items():
        (tmp_path / name).write_text(text)


@pytest.mark.parametrize(
    "quota, expected",
    [
        (None, 4),
        ({"_QUOTA": "max 100000\n"}, 4),
        ({"_QUOTA": "150000 100000\n"}, 2),
        ({"_QUOTA": "10000 100000\n"}, 1),
        ({"_QUOTA": "800000 100000\n"}, 4),
        ({"_OLD_QUOTA": "-1\n", "_OLD_PERIOD": "100000\n"}, 4),
        ({"_OLD_QUOTA": "300000\n", "_OLD_PERIOD": "100000\n"}, 3),
        ({"_QUOTA": "nonsense"}, 4),
    ],
)
def test_a_container_gets_what_its_quota_pays_for(quota, expected, monkeypatch, tmp_path):
    machine(monkeypatch, tmp_path, {cpu: f"{cpu % 4},{cpu % 4 + 4}" for cpu in range(8)}, quota)
    assert cores.available() == expected


def test_only_cpus_of_the_affinity_mask_count(monkeypatch, tmp_path):
    machine(monkeypatch, tmp_path, {0: "0,4", 4: "0,4", 1: "1,5"})
    assert cores.available() == 2


def test_cpus_that_tell_nothing_are_cores(monkeypatch, tmp_path):
    machine(monkeypatch, tmp_path, {0: "", 1: "", 2: ""})
    for cpu in range(3):
        (tmp_path / f"cpu{cpu}").unlink()
    assert cores.available() == 3


def test_this_machine_has_some():
    assert 1 <= cores.available() <= os.cpu_count()
