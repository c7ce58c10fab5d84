"""Folders of runs that mean harm: what they say stays text on the page, and reading them costs a line each."""

import json
import math
import os
import subprocess
import sys
import textwrap
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml
from PIL import Image

from genlab.comparison.comparison import compare
from genlab.comparison.page import page
from genlab.comparison.records import collect, find_runs, read_run
from genlab.system.small_files import LARGEST, read_json, read_yaml

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "</script></style></title><svg onload=alert(1)>",
    "--><iframe src=javascript:alert(1)>",
    "&lt;script&gt; &#60; % # ? \u2028 \u202e",
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


class Structure(HTMLParser):
    """All tags with the names of their attributes, and the addresses among the values."""

    def __init__(self, text: str):
        super().__init__()
        self.tags, self.addresses, self.said = [], [], ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, tuple(name for name, _ in attributes)))
        self.addresses += [value for name, value in attributes if name in ("src", "href", "action", "srcdoc", "data")]

    def handle_data(self, data):
        self.said += data

    def handle_comment(self, data):
        raise AssertionError(f"a comment: {data}")


def structure_of(folder: Path, title: str) -> Structure:
    records, problems = collect(find_runs([folder]))
    assert not problems
    return Structure(page(compare(records), title))


@pytest.mark.parametrize("word", HOSTILE)
def test_what_a_run_says_changes_nothing_but_the_text(word, tmp_path):
    """The page of hostile runs has the very tags and attributes of a page of plain ones."""
    pages = []
    for place, said in (("plain", "plain"), ("hostile", word)):
        for number in range(3):
            write_run(tmp_path / place / f"{number}{in_a_name(said)}", said, number)
        write_run(tmp_path / place / f"other{in_a_name(said)}", said, 0, other="other")
        pages.append(structure_of(tmp_path / place, said))
    plain, hostile = pages
    assert sorted(hostile.tags) == sorted(plain.tags)
    assert [tag for tag, _ in hostile.tags].count("script") == 1
    assert not [name for _, names in hostile.tags for name in names if name.startswith("on")]
    assert len(hostile.addresses) == 8
    assert all(address.startswith("data:image/webp;base64,") for address in hostile.addresses)
    assert word in hostile.said


def test_the_script_of_the_page_writes_text_alone():
    script = Path(page.__code__.co_filename).with_name("page.js").read_text()
    for word in ("innerHTML", "outerHTML", "insertAdjacent", "document.write", "eval", "Function", "location", "fetch"):
        assert word not in script


def bomb() -> str:
    """Nine levels of ten aliases: 300 bytes that stand for a billion words."""
    levels = ["a0: &a0 [lol]"] + [f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    return "\n".join([*levels, "model: {_target_: *a9}"])


MODEL = "model: {_target_: x"
REFUSED = {
    "bomb": ("config.yaml", bomb()),
    "merged bomb": ("config.yaml", "a: &a {b: 1}\nc: {<<: *a}\n" + MODEL + "}"),
    "python": ("config.yaml", "model: !!python/object/apply:os.system ['touch hacked']"),
    "python name": ("config.yaml", MODEL + ", y: !!python/name:os.system }"),
    "unknown tag": ("config.yaml", MODEL + ", y: !mine 1}"),
    "no timestamp": ("config.yaml", MODEL + ", y: !!timestamp x}"),
    "no boolean": ("config.yaml", MODEL + ", y: !!bool x}"),
    "no day": ("config.yaml", MODEL + ", y: 2020-13-45}"),
    "unprintable integer": ("config.yaml", MODEL + f", y: 0x{'f' * 5000}}}"),
    "sexagesimal": ("config.yaml", MODEL + f", y: 1{':1' * 400_000}}}"),
    "deep yaml": ("config.yaml", "[" * 500_000),
    "deep mapping": ("config.yaml", "{a: " * 500 + "1" + "}" * 500),
    "large yaml": ("config.yaml", MODEL + "}\n" + "#" * LARGEST),
    "no mapping": ("config.yaml", "[1, 2]"),
    "two documents": ("config.yaml", MODEL + "}\n---\n" + MODEL + "}\n"),
    "control characters": ("config.yaml", MODEL + ", y: '\x00'}"),
    "list": ("status.json", "[]"),
    "word": ("status.json", '"running"'),
    "deep json": ("status.json", "[" * 500_000),
    "large json": ("status.json", " " * LARGEST + "{}"),
    "huge integer": ("status.json", json.dumps({"status": "x", "step": 10**400, "directions": {}, "final": {}})),
    "no number": ("status.json", '{"status": "x", "step": NaN, "directions": {}, "final": {}}'),
    "unparsable integer": (
        "status.json",
        '{"status": "x", "step": ' + "9" * 100_000 + ', "directions": {}, "final": {}}',
    ),
    "rows that are lists": ("metrics.jsonl", "[1]\n"),
    "rows that are numbers": ("metrics.jsonl", "1\n"),
    "nested values": ("metrics.jsonl", '{"step": 1, "train/loss": {"a": 1}}\n'),
    "deep rows": ("metrics.jsonl", '{"step": 1, "train/loss": ' + "[" * 100_000 + "\n"),
    "huge value": ("metrics.jsonl", '{"step": 1, "train/loss": ' + "9" * 400 + "}\n"),
    "step NaN": ("metrics.jsonl", '{"step": NaN, "train/loss": 1}\n'),
    "large line": ("metrics.jsonl", '{"step": 1, "train/' + "x" * LARGEST + '": 1}\n'),
    "large line without an end": ("metrics.jsonl", "x" * (LARGEST + 1)),
    "long name": ("metrics.jsonl", '{"step": 1, "train/' + "x" * 1000 + '": 1}\n'),
    "many names": ("metrics.jsonl", json.dumps({"step": 1} | {f"train/{n}": n for n in range(1000)}) + "\n"),
    "deep evaluation": ("evaluation.json", "[" * 500_000),
    "list of metrics": ("evaluation.json", '{"metrics": [1]}'),
    "large evaluation": ("evaluation.json", " " * (LARGEST + 1)),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_a_hostile_file_costs_its_run_one_short_line(kind, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_run(tmp_path / "good")
    bad, (file, content) = write_run(tmp_path / "bad"), REFUSED[kind]
    (bad / file).write_text(content)
    records, problems = collect(find_runs([tmp_path]))
    (line,) = problems
    assert [record.name for record in records] == ["good"]
    assert line.startswith(f"{bad}: its {file} is ") and line.endswith("left out")
    assert "\n" not in line and len(line) < len(str(bad)) + 120
    assert not list(tmp_path.rglob("hacked"))


@pytest.mark.parametrize("file", ["config.yaml", "status.json", "metrics.jsonl", "evaluation.json"])
def test_pipes_devices_and_folders_are_not_read(file, tmp_path):
    for number, make in enumerate([os.mkfifo, lambda path: path.symlink_to("/dev/zero"), Path.mkdir]):
        bad = write_run(tmp_path / str(number))
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
    points = [(-1e308, math.nan), (1, 1), (1e308, 2), (5, -math.inf)]
    rows = [json.dumps({"step": step, "train/loss": value}) + "\n" for step, value in points]
    (folder / "metrics.jsonl").write_text("".join(rows))
    Image.new("1", (8000, 8000)).save(folder / "previews/step_1-large.png")
    os.mkfifo(folder / "previews/step_1-pipe.png")
    (folder / "previews/step_1-broken.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"\0" * 40)
    page_of = structure_of(tmp_path, "runs")
    assert [tag for tag, _ in page_of.tags].count("img") == 2, "the plain ones"


def test_a_long_curve_keeps_its_shape_and_little_of_its_points(tmp_path):
    folder = write_run(tmp_path / "run")
    with (folder / "metrics.jsonl").open("w") as file:
        file.writelines(f'{{"step": {step}, "train/loss": {step}}}\n' for step in range(1, 50_001))
    points = read_run(folder, "run").curves["train/loss"]
    assert 1000 < len(points) <= 4001 and points[0] == (1, 1) and points[-1][0] > 49_900
    assert all(step == value for step, value in points)


def test_comparing_hostile_runs_stays_small(tmp_path):
    """A billion laughs, a line of a gigabyte and a long file, in a process that may have 600 MiB."""
    write_run(tmp_path / "good")
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


def test_small_files_are_read_as_they_are(tmp_path):
    place = tmp_path / "file"
    place.write_text('{"a": [1, 2.5, null, "é"]}', encoding="utf-8")
    assert read_json(place) == read_yaml(place) == {"a": [1, 2.5, None, "é"]}
    with pytest.raises(ValueError, match="has no other"):
        read_json(tmp_path / "other")
    place.write_bytes(b"\xff\xfe")
    for read in (read_json, read_yaml):
        with pytest.raises(ValueError, match="damaged: it is no "):
            read(place)
