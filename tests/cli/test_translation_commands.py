"""Translations: several draws, label maps by their palette, speech as files of sound; and mistakes in one line."""

import numpy as np
import pytest
from PIL import Image
from scipy.io import wavfile
from written import arrays

SMALL = ["network.channels=4", "network.max_channels=4", "model.discriminator_width=4"]


@pytest.fixture(scope="module")
def speech(tmp_path_factory):
    """Two speakers with two words each."""
    folder = tmp_path_factory.mktemp("speech")
    generator = np.random.default_rng(0)
    for speaker in ("anna", "ben"):
        for word in ("yes", "no"):
            (folder / speaker / word).mkdir(parents=True)
            for take in range(6):
                noise = (3000 * generator.normal(size=3000)).astype(np.int16)
                wavfile.write(folder / speaker / word / f"{take}.wav", 8000, noise)
    return folder


@pytest.fixture(scope="module")
def painter(short):
    """A short real run with noise, from edges to images."""
    return short("pix2pix", "dataset=digits", "dataset.pair=edges", *SMALL)


@pytest.fixture(scope="module")
def voices(short, speech):
    """A short real run that translates speech."""
    sizes = ["dataset.frames=32", "network.width=4", "model.discriminator_width=4"]
    data = ["dataset=speech-folder", f"dataset.path={speech}", "dataset.domains=[anna,ben]"]
    return short("cyclegan", *data, *sizes)


def test_several_draws_have_numbered_names(painter, voices, done, refuses, photographs):
    folder, _ = photographs
    once = sorted(path.stem for path in (done("translate", painter, f"input={folder}")[1] / "images").rglob("*.png"))
    _, made = done("translate", painter, f"input={folder}", "draws=2")
    names = sorted(path.stem for path in (made / "images").rglob("*.png"))
    assert len(names) == 2 * len(once) and {"a-1", "a-2"} <= set(names)
    drawn = arrays(made / "translations.npz")["images"]
    assert len(drawn) == 2 * len(once) and not np.array_equal(drawn[0], drawn[1])
    assert "draws=2" in refuses("translate", voices, "draws=2")


def test_speech_is_written_as_files_of_sound(voices, done, refuses, speech, tmp_path):
    _, made = done("translate", voices, f"input={speech / 'anna/yes'}", "to=b")
    rate, wave = wavfile.read(made / "images/2.wav")
    assert rate == 8000 and wave.dtype == np.int16 and len(wave) == 31 * 64 and wave.any()
    assert Image.open(made / "grid.png").size[0] > 32
    stereo = tmp_path / "stereo.wav"
    wavfile.write(stereo, 8000, np.zeros((3000, 2), np.int16))
    line = refuses("translate", voices, f"input={stereo}")
    assert "stereo.wav" in line and "2 channels" in line


def test_samples_of_sound_can_be_heard(short, speech, done, refuses):
    run = short("vae", "dataset=speech-folder", f"dataset.path={speech}", "dataset.frames=32", "network.hidden=[8]")
    _, made = done("sample", run, "num_samples=3", "format=wav")
    assert sorted(path.name for path in (made / "images").iterdir()) == [f"{number:07}.wav" for number in range(3)]
    assert (done("sample", run, "num_samples=3")[1] / "1.wav").exists()
    assert "format=wav" in refuses("sample", run, "format=png")


def test_a_palette_that_lacks_a_colour_names_the_file(genlab, tmp_path):
    for side in ("a", "b"):
        (tmp_path / "pairs" / side).mkdir(parents=True)
        for number in range(4):
            Image.new("RGB", (16, 16), (0, 200, 0)).save(tmp_path / "pairs" / side / f"{number}.png")
    given = ["train", "model=pix2pix", "dataset=paired-folder", "dataset.path=pairs", "trainer.batch_size=1"]
    outcome = genlab(*given, "dataset.palette=[ff0000,0000ff]")
    line = outcome.lines[-1]
    assert outcome.code == 2 and "dataset.palette" in line and "0.png" in line and "00c800" in line
