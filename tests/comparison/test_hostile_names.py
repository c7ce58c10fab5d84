"""Folders of runs that mean harm: what they say stays text, and a file that cannot be read costs its run one line."""

import csv
import json
import math
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import yaml
from PIL import Image
from test_comparison import Reader

from genlab.commands.compare import main
from genlab.comparison.comparison import compare
from genlab.comparison.page import page
from genlab.comparison.records import collect, find_runs, read_run
from genlab.config.commands import CompareConfig
from genlab.system.small_files import LARGEST

HOSTILE = [
    "<script>alert(1)</script>",
    "' onmouseover='alert(1)",
    '"></script></style></title><svg onload=alert(1)>',
    "--><iframe src=javascript:alert(1)>",
    "{{ 7 * 7 }}{% include 'page.js' %}",
    "&lt;script&gt; &#60; % # ? \u2028 \u202e",
    "\x1b[2J",
]


def write_run(folder: Path, word: str = "plain", seed: int = 0, other: str = "") -> Path:
    """A run that can be read and says `word` wherever a run can say something; `other` sets its settings apart."""
    (folder / "previews").mkdir(parents=True)
    config = {
        "choices": {"model": word, "dataset": word + other},
        "model": {"_target_": word, word: word + other, "list": [word, {word: word}]},
        "dataset": {"seed": word},
        "seed": f"{seed}{word}",
    }
    name, rows = f"validation/{word}", [{"step": step, f"train/{word}": 1.0 + step} for step in (1, 2)]
    state = {"status": word, "step": 2, "steps_per_second": 1.0, "alarms": [{}], "final": {name: 1.0 + seed}}
    state["directions"] = {name: "max", f"train/{word}": word}
    entry = {"value": 1.0, "direction": "min", "protocol": {"dataset": word, "split": word}}
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    (folder / "status.json").write_text(json.dumps(state))
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "evaluation.json").write_text(json.dumps({"metrics": {word: entry}}))
    for kind in ("a", "b"):
        Image.new("L", (8, 8)).save(folder / "previews" / f"step_0000002-{in_a_name(word)}{kind}.png")
    return folder


def in_a_name(word: str) -> str:
    """`word` as the name of a file can hold it."""
    return word.replace("/", "\N{DIVISION SLASH}")


@pytest.mark.parametrize("word", HOSTILE)
def test_what_a_run_says_stays_text_on_the_page_in_the_table_and_in_the_csv_file(word, tmp_path, capsys):
    """The page of hostile runs has the very tags and attributes of a page of plain ones."""
    pages = []
    for place, said in (("plain", "plain"), ("hostile", word)):
        for number in range(3):
            write_run(tmp_path / place / f"{number}{in_a_name(said)}", said, number)
        write_run(tmp_path / place / f"other{in_a_name(said)}", said, 0, other="other")
        main(CompareConfig(runs=str(tmp_path / place), metric=None, direction=None, output=None))
        table = capsys.readouterr().out
        assert "\x1b" not in table
        assert len(table.partition("\n\n")[0].split("\n")) == 3, "a heading, three seeds, and another setting"
        pages.append(Reader((tmp_path / place / "comparison.html").read_text()))
        with (tmp_path / place / "comparison.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        assert len(rows) == 4 and {row["status"] for row in rows} == {f"{said} (1 alarm)"}
    plain, hostile = (sorted((tag, tuple(attributes)) for tag, attributes in page.tags) for page in pages)
    assert hostile == plain and not [name for _, names in hostile for name in names if name.startswith("on")]
    addresses = [a[key] for _, a in pages[1].tags for key in ("src", "href", "action", "srcdoc", "data") if key in a]
    assert len(addresses) == 8 and all(address.startswith("data:image/webp;base64,") for address in addresses)
    assert word in "".join(pages[1].text)


def test_the_script_of_the_page_writes_text_alone():
    script = Path(page.__code__.co_filename).with_name("page.js").read_text()
    for word in ("innerHTML", "outerHTML", "insertAdjacent", "document.write", "eval", "Function", "location", "fetch"):
        assert word not in script


def bomb() -> str:
    """Nine levels of ten aliases: 300 bytes that stand for a billion words."""
    levels = ["a0: &a0 [lol]"] + [f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    return "\n".join([*levels, "model: {_target_: *a9}"])


MODEL = "model: {_target_: x"
STATUS = '{"status": "x", "directions": {}, "final": {}, "step": '
REFUSED = {
    "bomb": ("config.yaml", bomb()),
    "python": ("config.yaml", "model: !!python/object/apply:os.system ['touch hacked']"),
    "deep yaml": ("config.yaml", "[" * 500_000),
    "large yaml": ("config.yaml", MODEL + "}\n" + "#" * LARGEST),
    "no text": ("config.yaml", MODEL + "}\udcff"),
    "no model": ("config.yaml", "seed: 1"),
    "none": ("status.json", None),
    "unfinished": ("status.json", '{"status": "finished", "st'),
    "deep json": ("status.json", "[" * 500_000),
    "huge integer": ("status.json", STATUS + "9" * 400 + "}"),
    "words for numbers": ("status.json", STATUS.replace('"final": {}', '"final": {"a": "many"}') + "1}"),
    "unfinished row": ("metrics.jsonl", '{"step": 1}\n{"ste\n{"step": 2}\n'),
    "infinite step": ("metrics.jsonl", '{"step": 1e999, "train/loss": 1}\n'),
    "large line": ("metrics.jsonl", '{"step": 1, "train/' + "x" * LARGEST + '": 1}\n'),
    "many names": ("metrics.jsonl", json.dumps({"step": 1} | {f"train/{n}": n for n in range(1000)}) + "\n"),
    "list of metrics": ("evaluation.json", '{"metrics": [1]}'),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_a_damaged_or_hostile_file_costs_its_run_one_short_line(kind, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_run(tmp_path / "good")
    bad, (file, content) = write_run(tmp_path / "bad"), REFUSED[kind]
    (bad / file).unlink()
    if content is not None:
        (bad / file).write_text(content, errors="surrogateescape")
    records, problems = collect(find_runs([tmp_path]))
    (line,) = problems
    assert [record.name for record in records] == ["good"]
    assert line.startswith(str(bad)) and file in line and line.endswith("left out")
    assert "\n" not in line and len(line) < len(str(bad)) + 120
    assert not list(tmp_path.rglob("hacked"))


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/dev/zero"), Path.mkdir])
def test_pipes_devices_and_folders_are_not_read(make, tmp_path):
    for file in ("config.yaml", "status.json", "metrics.jsonl", "evaluation.json"):
        bad = write_run(tmp_path / file)
        (bad / file).unlink()
        make(bad / file)
        with pytest.raises(ValueError, match=f"its {file} is refused: it is no plain file"):
            read_run(bad, "bad")


def test_numbers_that_are_none_are_shown_and_hostile_images_left_out(tmp_path):
    folder = write_run(tmp_path / "run")
    final = {"validation/a": math.nan, "train/b": -1e308}
    state = {"status": "x", "step": 1e308, "steps_per_second": math.inf, "final": final}
    state["directions"] = {"train/b": "max"}
    (folder / "status.json").write_text(json.dumps(state))
    Image.new("1", (8000, 8000)).save(folder / "previews/step_1-large.png")
    os.mkfifo(folder / "previews/step_1-pipe.png")
    (folder / "previews/step_1-broken.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"\0" * 40)
    records, problems = collect(find_runs([tmp_path]))
    images = Reader(page(compare(records), "runs")).all("img")
    assert not problems and len(images) == 2, "the plain ones"


def test_comparing_hostile_runs_stays_small(tmp_path):
    """A billion laughs, a line of a gigabyte and a long file, in a process that may have 600 MiB."""
    folder = write_run(tmp_path / "good")
    with (folder / "metrics.jsonl").open("w") as file:
        file.writelines(f'{{"step": {step}, "train/loss": {step}}}\n' for step in range(1, 50_001))
    points = read_run(folder, "run").curves["train/loss"]
    assert 1000 < len(points) <= 4001 and points[0] == (1, 1) and points[-1][0] > 49_900
    (write_run(tmp_path / "bomb") / "config.yaml").write_text(bomb())
    with (write_run(tmp_path / "line") / "metrics.jsonl").open("wb") as file:
        file.truncate(2**30)
    code = """
        import resource, sys
        from genlab.cli import main
        resource.setrlimit(resource.RLIMIT_AS, (600 * 2**20,) * 2)
        sys.exit(main(["compare", "runs=."]))
    """
    process = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], cwd=tmp_path, capture_output=True, text=True, timeout=100
    )
    assert process.returncode == 0, process.stderr
    assert len(process.stderr.splitlines()) == 2 and process.stderr.count("left out") == 2
    assert (tmp_path / "comparison.html").stat().st_size < 100_000
