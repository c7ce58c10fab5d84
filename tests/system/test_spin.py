"""How threads wait is chosen before torch is loaded, by the load; what users chose themselves stays."""

import logging
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from genlab.system import neighbours, spin
from genlab.system.neighbours import Neighbours


class Others:
    """Neighbours that take as many cores as they are told to."""

    def __init__(self, taken, capacity=8):
        self.taken, self.capacity = taken, capacity

    def look(self):
        return self.taken


@pytest.fixture(autouse=True)
def before_torch(monkeypatch):
    """As if nothing was loaded or chosen yet, on a machine of eight cores."""
    for name in (*spin._OF_USERS, spin._CHOSEN):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(spin, "_is_loaded", lambda: False)
    monkeypatch.setattr(spin.cores, "available", lambda: 8)


@pytest.fixture
def told(caplog):
    """`told(device.spin of the config)`: the line in the log."""

    def report(asked):
        caplog.clear()
        with caplog.at_level(logging.DEBUG, "genlab"):
            spin.report(asked)
        (line,) = caplog.messages
        return line

    return report


@pytest.mark.parametrize(
    ("arguments", "taken", "spins"),
    [
        ([], 0.1, True),
        ([], 1.0, False),
        (["device.spin=auto", "model=gan"], 1.0, False),
        (["device.spin=on"], 8.0, True),
        (["device.spin=off"], 0.0, False),
        (["device.spin=off", "+device.spin=on"], 8.0, True),
        (["device.threads=4"], 3.0, True),
        (["device.threads=4"], 5.0, False),
        (["device.threads=4", "device.processes=2"], 1.0, False),
        (["device.threads=1"], 8.0, True),
        (["device.threads=null"], 1.0, False),
        (["-m", "device.spin=on,off"], 0.0, True),
    ],
)
def test_threads_sleep_beside_others_that_need_their_cores(arguments, taken, spins, told):
    spin.choose(arguments, Others(taken))
    assert spin.spins() == spins == ("OMP_WAIT_POLICY" not in os.environ)
    line = told("auto")
    assert ("spin" if spins else "sleep") in line.split() and f"{taken} of 8 cores" in line


@pytest.mark.parametrize("asked", ["auto", "on", "off"])
@pytest.mark.parametrize(("name", "value"), [("OMP_WAIT_POLICY", "active"), ("GOMP_SPINCOUNT", "1000")])
def test_what_the_user_has_set_stays(name, value, asked, monkeypatch, told):
    monkeypatch.setenv(name, value)
    spin.choose([f"device.spin={asked}"], Others(8.0))
    assert {key: os.environ[key] for key in spin._OF_USERS if key in os.environ} == {name: value}
    assert f"{name}={value}" in told(asked)


def test_what_comes_too_late_is_told(monkeypatch, told):
    monkeypatch.setattr(spin, "_is_loaded", lambda: True)
    spin.choose([], Others(8.0))
    assert spin.spins() and "loaded before" in told("auto")
    assert "device.spin=off counts on the command line only, elsewhere set OMP_WAIT_POLICY=passive" in told("off")


def test_the_processes_of_a_run_know_it():
    spin.choose(["device.spin=off"], Others(0.0))
    script = "import logging; from genlab.system import spin; logging.basicConfig(level=20); spin.report('off')"
    line = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stderr
    assert "threads sleep" in line and "command line" not in line


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """`machine(seconds, own, *busy)`: the time, this process's, and each CPU's user and stolen time."""

    def set_to(seconds, own, *busy):
        lines = [
            f"cpu{n} {100 * user:.0f} 0 0 900 900 0 0 {100 * stolen:.0f} 0 0" for n, (user, stolen) in enumerate(busy)
        ]
        (tmp_path / "stat").write_text("\n".join(["cpu 1 2 3 4 5 6 7 8 9 10", *lines, "intr 1 2 3", "", "btime 7"]))
        monkeypatch.setattr(neighbours.time, "monotonic", lambda: seconds)
        monkeypatch.setattr(neighbours.os, "times", lambda: os.times_result((own, 0, 0, 0, 0)))

    monkeypatch.setattr(neighbours, "_STATISTICS", tmp_path / "stat")
    monkeypatch.setattr(neighbours.os, "sysconf", lambda name: 100)
    monkeypatch.setattr(neighbours.cores, "allowed", lambda: [0, 2])
    return set_to


def test_neighbours_are_others_on_the_same_cpus(machine):
    machine(10, 5, (0, 0), (0, 0), (0, 0))
    alone, with_another = Neighbours(), Neighbours(processes=2)
    machine(12, 6, (2, 0), (2, 0), (0.5, 0.5))
    assert alone.capacity == 2
    assert alone.look() == pytest.approx(1.0)
    assert with_another.look() == pytest.approx(0.5)
    machine(13, 7, (3, 0), (3, 0), (0.5, 0.5))
    assert alone.look() == pytest.approx(0.0), "since the last look"
    machine(13.01, 7.01, (3, 0), (3, 0), (0.5, 0.5))
    assert alone.look() == pytest.approx(-1.0), "which the next tick makes up for"


def test_the_work_of_children_is_ours(machine, monkeypatch):
    machine(10, 0, (0, 0), (0, 0), (0, 0))
    monkeypatch.setattr(neighbours, "_ticks_of", lambda process: 0)
    monkeypatch.setattr(neighbours.multiprocessing, "active_children", lambda: [SimpleNamespace(pid=7)])
    watch = Neighbours()
    machine(11, 0, (1, 0), (0, 0), (1, 0))
    monkeypatch.setattr(neighbours, "_ticks_of", {7: 90}.get)
    assert watch.look() == pytest.approx(1.1)


def test_the_load_serves_where_cpus_are_not_counted(machine, monkeypatch):
    machine(10, 5)
    monkeypatch.setattr(neighbours, "_STATISTICS", Path("/nowhere"))
    monkeypatch.setattr(neighbours.os, "getloadavg", lambda: (1.5, 0.0, 0.0))
    watch = Neighbours()
    monkeypatch.setattr(neighbours.time, "monotonic", lambda: 12)
    assert watch.look() == pytest.approx(1.5)


def test_ticks_are_read():
    assert neighbours._ticks_of(os.getpid()) > 0


def test_an_empty_variable_is_none_of_the_users(monkeypatch, told):
    monkeypatch.setenv("OMP_WAIT_POLICY", "")
    spin.choose(["device.spin='off' "], Others(0.0))
    assert not spin.spins() and "sleep" in told("off")
