"""Folders for results: one for each request, whole or not there; and lines that can be pasted."""

import os
import shlex
import signal
from types import SimpleNamespace

import pytest

from genlab.commands.lines import command_line
from genlab.commands.requests import compose_request
from genlab.commands.results import results


@pytest.fixture
def run(tmp_path):
    (tmp_path / "run").mkdir()
    return SimpleNamespace(folder=tmp_path / "run", step=12, precision="fp32")


def write(run, config, *parts, name="a.txt"):
    """Make a result with one file; gives its folder."""
    with results(run, "things", config, *parts) as (new, path):
        (new / name).touch()
        assert not (path / name).exists()
    return path


def name_of(run, command, *arguments, title="title"):
    with results(run, command, compose_request(command, list(arguments)), title) as (_, path):
        return path.name


def everything(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_a_request_at_its_defaults_has_a_plain_name(run):
    assert name_of(run, "sample", "weights=raw") == "step_0000012-raw-title"
    elsewhere = ["run=x", "output_dir=y", "device=cpu", "device.threads=1", "num_samples=64"]
    assert name_of(run, "sample", *elsewhere) == name_of(run, "sample") == "step_0000012-title"


@pytest.mark.parametrize(
    "command, requests",
    [
        ("sample", ["num_samples=7", "num_samples=8", "format=npz", "label=1"]),
        ("interpolate", ["seeds=[1,2]", "seeds=[2,1]"]),
        ("reconstruct", ["dataset=npz dataset.path=a.npz", "dataset=npz dataset.path=b.npz"]),
    ],
)
def test_no_two_requests_share_a_name(command, requests, run):
    names = {name_of(run, command, *request.split()) for request in ["", *requests]}
    assert len(names) == len(requests) + 1


def test_places_count_by_where_they_are_and_not_how_they_are_written(run, tmp_path, monkeypatch):
    for place in ("one/photographs", "two/photographs"):
        (tmp_path / place).mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "one")
    first = name_of(run, "encode", "input=photographs")
    assert first == name_of(run, "encode", f"input={tmp_path}/one/photographs")
    monkeypatch.chdir(tmp_path / "two")
    assert first != name_of(run, "encode", "input=photographs")
    names = {name_of(run, "interpolate", f"images=[{place},b]") for place in ("photographs", "../one/photographs")}
    assert len(names) == 2


@pytest.mark.parametrize("title", ["x" * 260, "\N{GRINNING FACE}" * 130, "a\nb\udcff"])
def test_every_title_makes_a_name(title, run):
    name = name_of(run, "sample", "seed=1", title=title)
    assert len(name.encode()) <= 90 and name.isprintable()


def test_an_older_result_is_replaced_as_a_whole_by_the_last_that_ends(run):
    config = compose_request("sample", [])
    path = write(run, config, name="old.txt")
    with results(run, "things", config) as (new, same):
        (new / "last.txt").touch()
        assert write(run, config, name="quick.txt") == path
    assert same == path and everything(run.folder) == {f"things/{path.name}/last.txt"}
    assert list(run.folder.iterdir()) == [path.parent] and list(path.parent.iterdir()) == [path]
    assert path.stat().st_mode == run.folder.stat().st_mode, "others may read it if they may read the run"


@pytest.mark.parametrize("stop", [ValueError, KeyboardInterrupt, signal.SIGTERM])
def test_what_fails_or_is_stopped_leaves_nothing_and_takes_nothing_away(stop, run):
    config, handler = compose_request("sample", []), signal.getsignal(signal.SIGTERM)
    path = write(run, config)
    for kind in ("others", "things"):
        with pytest.raises((ValueError, KeyboardInterrupt)), results(run, kind, config) as (new, _):
            (new / "b.txt").touch()
            if isinstance(stop, signal.Signals):
                os.kill(os.getpid(), stop)
            raise stop
    assert everything(run.folder) == {f"things/{path.name}/a.txt"} and list(run.folder.iterdir()) == [path.parent]
    assert signal.getsignal(signal.SIGTERM) is handler


def test_a_killed_process_leaves_nothing_that_looks_like_a_result(run):
    child = os.fork()
    if child == 0:
        with results(run, "things", compose_request("sample", [])) as (new, _):
            (new / "half.txt").touch()
            os.kill(os.getpid(), signal.SIGKILL)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    assert all(name.startswith(".") for name in everything(run.folder)) and everything(run.folder)


def test_an_exchange_that_fails_brings_the_older_result_back(run, monkeypatch):
    config = compose_request("sample", [])
    path = write(run, config)
    rename = type(path).rename

    def refuses_new(self, target):
        if target == path and (self / "b.txt").exists():
            raise OSError("disk on fire")
        return rename(self, target)

    monkeypatch.setattr(type(path), "rename", refuses_new)
    with pytest.raises(OSError, match="disk on fire"):
        write(run, config, name="b.txt")
    assert everything(run.folder) == {f"things/{path.name}/a.txt"}


ODD = r"""a,b a=b it's a"b a\b end\ a\'b null 1e3 [a] a(b) $a ${x} é"""


@pytest.mark.parametrize("place", ["a b", " a", *ODD.split()])
def test_a_line_can_be_pasted_whatever_the_path(place):
    assert command_line("sample", run="a/vae-b/2026-53") == "genlab sample run=a/vae-b/2026-53", "plain ones stay plain"
    program, command, *arguments = shlex.split(command_line("sample", run=place, seed=3))
    assert (program, command) == ("genlab", "sample")
    config = compose_request(command, arguments)
    assert (config.run, config.seed) == (place, 3)
