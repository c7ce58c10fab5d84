"""Folders for results: one for each request, whole or not there; and lines that can be pasted."""

import os
import shlex
import signal
from types import SimpleNamespace

import pytest

from genlab.commands.lines import command_line
from genlab.commands.requests import compose_request
from genlab.commands.results import check_writable, results


@pytest.fixture
def run(tmp_path):
    return SimpleNamespace(folder=tmp_path / "run", step=12, precision="fp32")


def write(run, config, *parts, text="new", name="a.txt"):
    """Make a result with one file; gives the folder."""
    with results(run, "things", config, *parts) as result:
        (result.writing / name).write_text(text)
        assert not (result.path / name).exists() or text != "first"
    return result.path


def name_of(run, command, *arguments, title="title"):
    return write(run, compose_request(command, list(arguments)), title).name


def everything(folder):
    return {path.relative_to(folder): path.is_file() and path.read_text() for path in folder.rglob("*")}


def test_a_request_at_its_defaults_has_a_plain_name(run):
    assert name_of(run, "sample") == "step_0000012-title"
    assert name_of(run, "sample", "weights=raw") == "step_0000012-raw-title"
    elsewhere = ["run=x", "output_dir=y", "device=cpu", "device.threads=1", "num_samples=64"]
    assert name_of(run, "sample", *elsewhere) == "step_0000012-title"


@pytest.mark.parametrize(
    "command, requests",
    [
        ("sample", ["num_samples=7", "num_samples=8", "format=npz", "format=png", "seed=1", "label=1"]),
        ("interpolate", ["steps=3", "rows=3", "seeds=[1,2]", "seeds=[2,1]"]),
        ("traverse", ["extent=1", "steps=3", "rows=3"]),
        ("score", ["num_images=3", "importance_samples=3", "shown=3", "against=digits", "dataset=digits"]),
        ("encode", ["plot=none", "plot=tsne", "num_images=3"]),
        ("translate", ["seed=1", "to=a"]),
        ("export", ["onnx=true", "tolerance=1"]),
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
    (tmp_path / "two/linear").touch()
    here = name_of(run, "interpolate", "path=linear")
    monkeypatch.chdir(tmp_path)
    assert here == name_of(run, "interpolate", "path=linear"), "which is no place"


@pytest.mark.parametrize("title", ["x" * 260, "\N{GRINNING FACE}" * 130, "a\nb\udcff"])
def test_every_title_makes_a_name(title, run):
    name = name_of(run, "sample", "seed=1", title=title)
    assert len(name.encode()) <= 90 and name.isprintable()


def test_an_older_result_is_replaced_whole(run):
    config = compose_request("sample", [])
    path = write(run, config, name="old.txt", text="first")
    assert write(run, config, name="new.txt", text="second") == path
    assert everything(path.parent) == {
        path.relative_to(path.parent): False,
        path.relative_to(path.parent) / "new.txt": "second",
    }


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_what_fails_leaves_nothing_and_takes_nothing_away(error, run):
    config = compose_request("sample", [])
    with pytest.raises(error), results(run, "others", config) as result:
        raise error
    assert not result.path.parent.exists()
    path = write(run, config)
    before = everything(run.folder)
    with pytest.raises(error), results(run, "things", config) as result:
        (result.writing / "a.txt").write_text("half")
        raise error
    assert result.path == path and everything(run.folder) == before


def test_a_terminated_process_clears_away_what_it_began(run):
    handler = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit), results(run, "things", compose_request("sample", [])):
        os.kill(os.getpid(), signal.SIGTERM)
    assert everything(run.folder) == {}
    assert signal.getsignal(signal.SIGTERM) is handler


def test_of_two_processes_with_one_request_the_last_has_its_result_whole(run):
    config = compose_request("sample", [])
    with results(run, "things", config) as slow:
        (slow.writing / "slow.txt").touch()
        quick = write(run, config, name="quick.txt")
    assert slow.path == quick and [path.name for path in quick.iterdir()] == ["slow.txt"]
    assert list(quick.parent.iterdir()) == [quick]


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
    assert [child.name for child in path.iterdir()] == ["a.txt"] and list(path.parent.iterdir()) == [path]


def test_a_folder_that_cannot_be_is_said(run):
    run.folder.mkdir()
    (run.folder / "things").write_text("in the way")
    with pytest.raises(ValueError, match=r"things: cannot be written \(.*\); copy the run where you may write"):
        write(run, compose_request("sample", []))
    with pytest.raises(ValueError, match=r"gone: cannot be written \(.*\); copy the run where you may write"):
        check_writable(run.folder / "gone")
    check_writable(run.folder)
    assert [path.name for path in run.folder.iterdir()] == ["things"]


ODD = r"""a,b a=b it's a"b a\b end\ a\'b null 1e3 0 [a] a(b) $a ${x} a;b é"""


@pytest.mark.parametrize("place", ["a b", " a", *ODD.split()])
def test_a_line_can_be_pasted_whatever_the_path(place):
    program, command, *arguments = shlex.split(command_line("sample", run=place, seed=3))
    assert (program, command) == ("genlab", "sample")
    config = compose_request(command, arguments)
    assert (config.run, config.seed) == (place, 3)


def test_plain_paths_stay_plain():
    line = command_line("sample", run="outputs/vae-mnist/20261120-153012-5306", seed=1)
    assert line == "genlab sample run=outputs/vae-mnist/20261120-153012-5306 seed=1"
