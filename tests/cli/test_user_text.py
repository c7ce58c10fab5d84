"""Names hold anything: they are shown, plotted and written, and nothing that was computed is lost to how it is told."""

import csv
import json
import os
import re
import shutil
import subprocess
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from PIL import Image as Picture

from genlab.commands import evaluate, results, score
from genlab.commands.lines import command_line
from genlab.commands.translate import _targets
from genlab.media.kinds import Image
from genlab.media.plots import Projection, save_figure, save_scatter, write_label
from genlab.system import files
from genlab.system.files import replace_text, write_csv
from genlab.system.small_files import read_yaml
from genlab.system.text import Printing, rounded, shell_line, wrapped

LATIN = os.fsdecode(b"caf\xe9")
NAMES = [
    LATIN,
    "cost $5_{2 to $6",
    "_hidden",
    "猫 été عربي",
    "\u202eright to left",
    "new\nline\ttab",
    "\x1b[2J\x1b[31mred",
    "x" * 240,
    "=1+1,'quoted' \"twice\"",
    "-dash #1 <b>{{7*7}} %s",
]


def quoted(key, value):
    """An override of Hydra's grammar that holds any text."""
    text = str(value).replace("\\", "\\\\").replace("'", "\\'")
    return f"{key}='{text}'"


FORMULA, LONG = f"{LATIN} $5_{{2\x1b[31m\n", f"_=猫'عربي\u202e {'x' * 200}"
CASES = [("score", FORMULA), ("score", LONG), ("encode", FORMULA), ("reconstruct", LONG)]


@pytest.mark.parametrize(("command", "name"), CASES, ids=ascii)
def test_names_of_inputs(command, name, trained, done, tmp_path, caplog, recwarn):
    named = tmp_path / name
    named.mkdir()
    for number in range(3):
        pixels = np.full((16, 16), 60 * number + 40, np.uint8)
        pixels[4:9, 2 * number : 2 * number + 6] = 255
        Picture.fromarray(pixels).save(named / f"{name}{number}.png")
    more = [quoted("against", named)] if command == "score" else []
    out, made = done(command, trained[1], quoted("input", named), *more)
    assert out.replace("\n", "").isprintable() and "drawn" not in caplog.text
    assert not [warning for warning in recwarn if "Glyph" in str(warning.message)]
    if command == "encode":
        with np.load(made / "latents.npz") as found:
            assert sorted(found["names"].tolist()) == sorted(os.listdir(named))
        assert (made / "plot.png").is_file()
    else:
        with (made / ("scores.csv" if command == "score" else "errors.csv")).open(newline="", encoding="utf-8") as file:
            names = [row["name"] for row in csv.DictReader(file)]
        assert names == [n.encode(errors="backslashreplace").decode() for n in sorted(os.listdir(named))]
    if command == "score":
        assert json.loads((made / "detection.json").read_text())["protocol"]["images"]["name"] == named.name
        assert (made / "histogram.png").is_file()


def test_a_run_in_a_folder_of_any_name(trained, tmp_path, genlab, tiny):
    """With TensorBoard, whose libraries and those of the checkpoints take UTF-8 alone."""
    folder = tmp_path / f"{LATIN} $x_{{\x1b"
    short = [*tiny, "trainer.max_steps=2", "trainer.log_every=1", "logger.console=false"]
    assert genlab("train", *short, quoted("hydra.run.dir", folder)).code == 0
    assert list(folder.glob("events*"))
    for line in ("info run", "sample num_samples=2 run", "compare runs"):
        *words, key = line.split()
        outcome = genlab(*words, quoted(key, folder))
        assert outcome.code == 0, outcome.err
        assert outcome.out.replace("\n", "").isprintable() and "caf" in outcome.out


def test_a_config_that_names_a_folder_of_any_name_is_read(tmp_path):
    import yaml

    values = {"dataset": {"path": f"/data/{LATIN}/a\nb\x1b"}}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(values, allow_unicode=True))
    assert read_yaml(tmp_path / "config.yaml") == values


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_a_command_to_paste_is_read_back_by_a_shell(name):
    line = shell_line("printf", "%s", name)
    assert line.isprintable()
    assert subprocess.run(["bash", "-c", line], capture_output=True).stdout == os.fsencode(name)
    assert command_line("sample", run=name).isprintable()


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_any_name_is_drawn_as_it_is(name, tmp_path):
    figure = Figure(figsize=(2, 2))
    figure.subplots().set(title="before")
    with warnings.catch_warnings(action="error"):
        write_label(figure.axes[0].title, name, " (3)")
        save_figure(figure, tmp_path / "plot.png")
    shown = figure.axes[0].title.get_text()
    assert shown.isprintable() and shown.endswith(" (3)") and len(shown) < 100 and ("$" in shown) == ("$" in name)


def test_a_plot_has_room_beside_long_names_of_classes(tmp_path):
    points = Projection(np.random.default_rng(0).random((9, 2)), np.arange(9), ("a", "b"))
    names = ("W" * 250, "猫" * 80, "_")
    with warnings.catch_warnings(action="error"):  # as one of matplotlib's, that the axes have collapsed
        save_scatter(points, torch.arange(9) % 3, "W" * 250, tmp_path / "plot.png", names)


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_files_of_text_hold_any_name(name, tmp_path):
    write_csv(tmp_path / "a.csv", [("name",), (name,)])
    replace_text(tmp_path / "a.txt", name)
    as_text = name.encode(errors="backslashreplace").decode()
    with (tmp_path / "a.csv").open(newline="", encoding="utf-8") as file:
        assert list(csv.reader(file)) == [["name"], [as_text]]
    assert (tmp_path / "a.txt").read_bytes().decode() == as_text


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_a_terminal_gets_what_it_can_show(encoding, tmp_path):
    with (tmp_path / "out").open("w", encoding=encoding) as file:
        print(f"{LATIN} ± 猫 \x1b[31m", "b", file=Printing(file))
    assert (tmp_path / "out").read_bytes().count(b"\x1b") == 0


def test_a_locale_without_utf8(trained, tmp_path):
    plain = {"LC_ALL": "C", "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    asked = [sys.executable, "-m", "genlab", "compare", f"runs={trained[0]}", quoted("output", tmp_path / "é猫")]
    ended = subprocess.run(asked, env=os.environ | plain, capture_output=True, timeout=60)
    assert ended.returncode == 0, ended.stderr
    assert (tmp_path / "é猫/comparison.csv").is_file()


def test_targets_of_a_translation_fit_into_a_file_system():
    long = "y" * 251
    names = [f"{long}.png", f"{long}.bmp", f"{long}.gif", f"{'é' * 125}.png", f"{'é' * 125}.bmp"]
    names += ["a.png", "a.jpg", "a.jpg.png"]
    targets = _targets(names)
    assert len(set(targets)) == len(names) and max(len(os.fsencode(path.name)) for path in targets) <= 255
    assert [path.name for path in targets[-3:]] == ["a.png.png", "a.jpg.png", "a.jpg.png.png"]


def broken(*arguments, **named):
    raise RuntimeError("no font")


def test_a_plot_that_fails_costs_the_plot_alone(trained, done, monkeypatch, tmp_path):
    monkeypatch.setattr(score, "save_histogram", broken)
    np.savez(tmp_path / "other.npz", images=np.random.default_rng(0).integers(0, 255, (8, 16, 16), dtype=np.uint8))
    out, made = done("score", trained[1], f"against={tmp_path}/other.npz", "seed=77")
    assert "AUROC" in out and (made / "detection.json").is_file() and not (made / "histogram.png").exists()


@pytest.mark.parametrize("command", ["sample", "reconstruct", "interpolate", "traverse", "score"])
def test_a_grid_that_fails_costs_the_grid_alone(command, trained, genlab, monkeypatch):
    monkeypatch.setattr(Image, "picture", broken)
    outcome = genlab(command, f"run={trained[1]}", "seed=78", "device.threads=1")
    made = re.search(r"^array +(.*\.npz)", outcome.out, re.MULTILINE)[1]
    assert outcome.code == 0 and Path(made).is_file() and not (Path(made).parent / "grid.png").exists()


@pytest.mark.parametrize("make", [Path.mkdir, lambda path: path.write_text("{")], ids=["folder", "damaged"])
def test_an_evaluation_that_cannot_be_added_to_is_refused_before_it_is_computed(make, trained, genlab, monkeypatch):
    monkeypatch.setattr(evaluate, "choose", broken)
    folder = trained[1].parent / "copy"
    shutil.copytree(trained[1] / "checkpoints", folder / "checkpoints")
    make(folder / "evaluation.json")
    outcome = genlab("evaluate", f"run={folder}", "metrics=[reconstruction]", "device.threads=1")
    shutil.rmtree(folder)
    assert outcome.code == 2 and "evaluation.json: not an evaluation that can be added to; remove it" in outcome.err


def test_an_evaluation_that_cannot_be_stored_is_shown(trained, genlab, monkeypatch):
    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(evaluate, "write", full)
    outcome = genlab("evaluate", f"run={trained[1]}", "metrics=[reconstruction]", "device.threads=1")
    assert outcome.code == 1 and "mse  " in outcome.out
    (line,) = (line for line in outcome.lines if line.startswith("genlab: "))
    assert "evaluation.json: cannot be written (No space left on device)" in line


@pytest.mark.parametrize("line", ["train output_dir=NAME", "info run=NAME", "encode input=NAME run="])
def test_a_name_that_is_too_long_is_refused(line, refused, trained):
    told = refused(*(line.replace("NAME", "n" * 300) + str(trained[1]) * line.endswith("=")).split())
    assert "n" * 300 in told and "File name too long" in told and "Errno" not in told


def test_samples_that_the_disk_cannot_hold_are_refused_before_they_are_drawn(trained, refuses, monkeypatch):
    monkeypatch.setattr(files.shutil, "disk_usage", lambda folder: SimpleNamespace(free=2**20))
    told = refuses("sample", trained[1], "num_samples=5000")
    assert "num_samples=5000: needs 1.2 MiB, and the disk of" in told and "has 1.0 MiB" in told


def test_a_full_disk_is_told_before_anything_is_computed(trained, refuses, monkeypatch):
    class Full:
        def __enter__(self):
            return self

        def __exit__(self, *error):
            pass

        def write(self, content):
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(results, "TemporaryFile", lambda dir: Full())
    assert "cannot be written (No space left on device)" in refuses("evaluate", trained[1])


def test_a_number_keeps_the_digits_before_its_point():
    values = 0.012341, -19996.4, 1234.5, 9999.7, 1.5e9, float("nan"), float("inf")
    assert [rounded(value, 4) for value in values] == ["0.01234", "-19996", "1234", "10000", "1.5e+09", "nan", "inf"]
    assert [rounded(value) for value in (0.1234, 999.7, 1030.2)] == ["0.123", "1000", "1030"]


def test_a_line_is_broken_between_words_or_between_values():
    values = "step 300: validation  elbo -106.3  reconstruction 102.5  kl 3.887"
    assert wrapped(values, 50) == "step 300: validation  elbo -106.3\n           reconstruction 102.5  kl 3.887"
    assert wrapped(values, 200) == values and wrapped("", 10) == ""
    assert wrapped("           encoder 414,760, decoder 404,736", 30).split("\n")[1] == "           decoder 404,736"
    assert wrapped(f"run        {60 * 'x'} y", 20) == f"run        {60 * 'x'}\n           y"
