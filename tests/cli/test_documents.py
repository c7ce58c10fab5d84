"""Every command and program that README.md and docs/ show works when it is copied.

Commands that train are composed and checked as before a training; all others are run, on short runs and made-up files
that have the names in the documents. Where they say `run=latest`, one of the runs must be able to do it; in the list of
README for the first run, that of the default model.
"""

import os
import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.io import wavfile

from genlab.commands.requests import compose_request
from genlab.config.compose import register
from genlab.config.sweeping import plan
from genlab.runs.check import check

DATA = os.environ.get("GENLAB_DATA")
ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
PLUGIN = ROOT / "docs/extending.md"  # of an installed package, which tests/cli/test_plugins.py runs
FIRST = "A trained run can be used"
STAMPS = {"vae": "20261120-153012-5306", "cvae": "20261120-160112-71c0", "cyclegan": "20261121-091500-3d0e"}
STAMPS |= {"made": "20261129-100000-5a1e", "flow-matching": "20261130-100000-7b2f"}
STAMPS |= {"pix2pix": "20261130-110000-3c4d", "voices": "20261130-120000-9e8f"}
QUICK = {"num_samples=50000": "num_samples=100", "max_steps=500": "max_steps=2", "num_samples=100": "num_samples=20"}
QUICK |= {"sampling.sampler=[ddim,euler,heun,dpm-solver++]": "sampling.sampler=[euler,heun]"}
QUICK |= {"num_images=500": "num_images=20"}
QUICK |= {"sampling.steps=[5,10,20,50]": "sampling.steps=[1,2]", "sampling.steps=30": "sampling.steps=3"}
FITS = {"restore|guidance|sampler|gif|variational|denoising": "flow-matching", "exact|complete|temperature": "made"}
FITS |= {"RECORDINGS": "voices", "draws=": "pix2pix", "translate": "cyclegan"}
"""The run that a command is likely to fit, by words in it; else the first."""
EVALUATION = ["num_samples=100", "importance_samples=2", "extractor=random-conv"]
COUNT = 150
"""Images of a folder: a batch of the recipes and its validation part."""


def blocks(document, language):
    return re.findall(rf"```{language}\n(.*?)```", document.read_text(), re.DOTALL)


def commands(text):
    """The commands of `genlab` in a block, as lists of arguments."""
    for line in text.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        if words[:1] == ["genlab"] and "..." not in line:
            yield words[1:]


def shown_in(document):
    """All commands of a document: those in blocks, and those of tables."""
    text = document.read_text()
    for shown in (*blocks(document, "bash"), *re.findall(r"^\| `(genlab [^`]*)`", text, re.MULTILINE)):
        yield from commands(shown)


def after_the_first_run():
    """The commands that README offers for the run of its first command."""
    text = (ROOT / "README.md").read_text()
    return commands(text[text.index(FIRST) :].split("```")[1])


ALL = {shlex.join(words): words for document in DOCUMENTS if document != PLUGIN for words in shown_in(document)}
TRAINED = {line: words for line, words in ALL.items() if words[0] == "train" and "model=toy" not in words}
USED = {line: words for line, words in ALL.items() if words[0] not in ("train", "completion")}
AFTER_THE_FIRST = {shlex.join(words) for words in after_the_first_run()}


def images(folder, count=COUNT):
    folder.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(0).integers(0, 256, (count, 16, 16), dtype=np.uint8)
    for number, image in enumerate(pixels):
        Image.fromarray(image).save(folder / f"{number}.png")


def sounds(folder, count=12):
    folder.mkdir(parents=True)
    for number, noise in enumerate(np.random.default_rng(0).normal(size=(count, 4000))):
        wavfile.write(folder / f"{number}.wav", 8000, (3000 * noise).astype(np.int16))


@pytest.fixture(scope="module")
def place(runs, short, tmp_path_factory):
    """A folder with all files that the documents name."""
    place = tmp_path_factory.mktemp("documents")
    images(place / "IMAGES/one")
    images(place / "photographs", count=4)
    for name in ("SPEECH/anna/yes", "SPEECH/anna/no", "SPEECH/ben/yes", "SPEECH/ben/no"):
        sounds(place / name)
    sounds(place / "RECORDINGS", count=2)
    for name in ("FOLDER/a", "FOLDER/b"):
        images(place / name, count=20)
    for name in ("trainA", "trainB", "testA", "testB"):
        shutil.copytree(place / "IMAGES/one", place / "UNPAIRED" / name)
        images(place / "apple2orange" / name, count=20)
    pixels = np.zeros((2000, 8, 8), np.uint8)
    np.savez(place / "data.npz", x=pixels, y=np.arange(2000) % 3)
    np.save(place / "million.npy", pixels)
    np.savetxt(place / "points.csv", np.random.default_rng(0).normal(size=(2000, 2)), delimiter=",")
    for name in ("a.png", "b.png", "seven.png"):
        shutil.copy(place / "IMAGES/one/0.png", place / name)
    small = ["dataset=digits", "dataset.size=28", "network.hidden=[16]", "trainer.preview_every=1"]
    found = {"vae": short("vae", *small), "cvae": short("cvae", *small), "cyclegan": runs.cyclegan}
    found["made"] = short("made", *small)
    found["flow-matching"] = short("flow-matching", *small[:2], "network.widths=[8]", "model.steps=2", small[3])
    found["pix2pix"] = short("pix2pix", "dataset=digits", "dataset.pair=edges", "network.channels=4")
    spoken = ["dataset=speech-folder", f"dataset.path={place}/SPEECH", "dataset.domains=[anna,ben]", "network.width=4"]
    found["voices"] = short("cyclegan", *spoken)
    for model, stamp in STAMPS.items():
        data = "stripes" if model == "cyclegan" else "mnist"
        shutil.copytree(found[model], place / f"outputs/{model}-{data}/{stamp}")
    stopped = shutil.copytree(found["vae"], place / "outputs/gan-mnist" / STAMPS["vae"]) / "status.json"
    stopped.write_text(stopped.read_text().replace('"finished"', '"interrupted"'))
    for sweep in ("latents", "vae-digits/20261121-160000-a96f", "vae+beta-vae-digits/20261121-141216-376e"):
        shutil.copytree(found["vae"], place / "outputs/sweeps" / sweep / "0")
        (place / "outputs/sweeps" / sweep / "sweep.json").write_text('{"overrides": []}')
    return place


def needs_data(line):
    """Skips a command on published data where there are none."""
    sets = "mnist|fashion-mnist|binarized-mnist"
    found = re.search(
        rf"(?:against|^data dataset|run=.* dataset)=({sets})|experiment=(labels-to-photo|voices)|dataset=(fsdd)", line
    )
    if found and DATA is None:
        pytest.skip(f"needs {found[1] or found[2] or found[3]} below $GENLAB_DATA")


@pytest.mark.parametrize("line", TRAINED)
def test_a_command_that_trains_is_accepted(line, place, monkeypatch):
    needs_data(line)
    monkeypatch.chdir(place)
    words = TRAINED[line][1:]
    if "dataset=unpaired-folder" in words:
        words = [word.replace("FOLDER", "UNPAIRED") for word in words]
    register()
    if words[:1] == ["-m"]:
        check(plan(words[1:]).jobs[0].config, None)
    else:
        job = compose_request("train", words).job
        check(job.config, job.folder)


def slow_if_it_trains_a_classifier(line):
    return pytest.param(line, marks=pytest.mark.slow) if "classes" in line or "voices" in line else line


@pytest.mark.parametrize("line", [slow_if_it_trains_a_classifier(line) for line in USED])
def test_a_command_that_uses_a_run_works(line, place, genlab, monkeypatch):
    needs_data(line)
    monkeypatch.chdir(place)
    for name, result in (("resume_and_report", None), ("resume_sweep", 0)):
        monkeypatch.setattr(f"genlab.commands.resume.{name}", lambda *_, result=result: result)
    words = [QUICK.get(word, word) for word in USED[line]]
    if words[0] == "evaluate":
        keys = [word.partition("=")[0] for word in words]
        words += [setting for setting in EVALUATION if setting.partition("=")[0] not in keys]
    if words[0] == "evaluate" and re.search("bound|exact", line) and "num_images" not in line:
        words.append("num_images=20")
    if words[0] == "restore":
        words += ["num_images=2", "draws=1", "sampling.steps=2"]
    if words[0] in ("reconstruct", "score") and "input=" in line:
        words.append("num_images=4")
    if DATA and re.search("mnist", line) and words[0] in ("data", "evaluate", "score"):
        words.append(f"data_dir={DATA}")
    if words[0] == "score" and "against=" in line and "num_images" not in line:
        words.append("num_images=50")
    said = {}
    likely = next((model for pattern, model in FITS.items() if re.search(pattern, line)), "vae")
    for model in ("vae",) if line in AFTER_THE_FIRST else dict.fromkeys([likely, *STAMPS]):
        (run,) = place.glob(f"outputs/{model}-*/{STAMPS[model]}")
        outcome = genlab(*(f"run={run}" if word == "run=latest" else word for word in words))
        if outcome.code == 0:
            return
        said[model] = outcome.err
    pytest.fail(f"genlab {line}: {said}")


def test_what_readme_offers_after_the_first_run_is_found():
    assert len(AFTER_THE_FIRST) > 7


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_programs_run(document, place, monkeypatch):
    """In one process, in order, as a reader would paste them."""
    monkeypatch.chdir(place)
    found = {"np": np, "torch": torch}
    for block in blocks(document, "python"):
        if any(
            part in block for part in ("class Toy", "METRICS", "class TextLog", "class LinearMaps")
        ):  # parts of files
            continue
        for long, short in QUICK.items():
            block = block.replace(long, short)
        exec(compile(block, document.name, "exec"), found)
