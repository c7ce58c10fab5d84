"""Speech: files of every depth and rate, their classes and domains, and mistakes that name the file."""

import numpy as np
import pytest
import soundfile
import torch
from scipy.io import wavfile

from genlab.contract.data import DataSpec
from genlab.data.decoding import UnreadableError
from genlab.data.sounds import Preparation, read_sound, read_wave, trimmed
from genlab.data.speech import SpeechFolder, SpokenDigits

RATE = 8000


def tone(seconds=0.3, frequency=500, rate=RATE):
    return 0.5 * np.sin(2 * np.pi * frequency * np.arange(int(seconds * rate)) / rate)


def write(path, wave=None, rate=RATE, dtype=np.int16):
    path.parent.mkdir(parents=True, exist_ok=True)
    wave = tone(rate=rate) if wave is None else wave
    stored = wave if dtype is np.float32 else wave * np.iinfo(dtype).max
    wavfile.write(path, rate, stored.astype(dtype))
    return str(path)


@pytest.mark.parametrize("dtype", [np.int16, np.int32, np.float32])
def test_files_of_every_depth(tmp_path, dtype):
    found = read_wave(write(tmp_path / "a.wav", dtype=dtype), RATE, resample=False)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, torch.from_numpy(tone()).float(), atol=1e-4, rtol=0)


def test_files_of_8_bits(tmp_path):
    wavfile.write(tmp_path / "a.wav", RATE, (128 + 127 * tone()).round().astype(np.uint8))
    found = read_wave(str(tmp_path / "a.wav"), RATE, resample=False)
    torch.testing.assert_close(found, torch.from_numpy(tone()).float(), atol=0.01, rtol=0)


@pytest.mark.parametrize("ending", ["flac", "ogg"])
def test_other_formats_are_read_by_soundfile(tmp_path, ending):
    soundfile.write(tmp_path / f"a.{ending}", tone(), RATE)
    found = read_wave(str(tmp_path / f"a.{ending}"), RATE, resample=False)
    assert len(found) == len(tone()) and (found - torch.from_numpy(tone()).float()).abs().mean() < 0.02


def test_another_rate_is_refused_or_converted(tmp_path):
    path = write(tmp_path / "a.wav", rate=16000)
    with pytest.raises(UnreadableError, match=r"a\.wav .*16000 .*dataset\.resample=true"):
        read_wave(path, RATE, resample=False)
    found = read_wave(path, RATE, resample=True)
    assert len(found) == len(tone())
    torch.testing.assert_close(found[200:-200], torch.from_numpy(tone()).float()[200:-200], atol=0.01, rtol=0)


def test_what_is_no_sound_is_refused(tmp_path):
    write(tmp_path / "stereo.wav", np.stack([tone(), tone()], 1))
    write(tmp_path / "empty.wav", np.zeros(0))
    (tmp_path / "damaged.wav").write_bytes(b"RIFF" + bytes(40))
    for name, reason in (("stereo", "2 channels"), ("empty", "no samples"), ("damaged", "damaged.wav")):
        with pytest.raises(UnreadableError, match=reason):
            read_wave(str(tmp_path / f"{name}.wav"), RATE, resample=False)
    with pytest.raises(ValueError, match=r"3 files cannot be read: .*damaged.*empty.*stereo"):
        write(tmp_path / "good.wav")
        SpeechFolder(path=str(tmp_path), validation_fraction=0.3).open("train")


def field(**settings):
    return SpeechFolder(**settings).spec["x"]


def test_sounds_are_trimmed_cut_and_followed_by_silence(tmp_path):
    quiet = np.concatenate([np.zeros(400), tone(0.2), np.zeros(900)])
    assert len(trimmed(torch.from_numpy(quiet))) == pytest.approx(len(tone(0.2)), abs=20)
    paths = [write(tmp_path / f"{n}.wav", wave) for n, wave in enumerate((tone(0.2), tone(2)))]
    short, long = (read_sound(path, field(path=str(tmp_path), frames=32), Preparation()) for path in paths)
    assert short.shape == long.shape == (1, 64, 32) and short.dtype == torch.uint8
    assert short[..., :20].any() and not short[..., 30:].any() and long[..., -1].any()


def test_longer_sounds_keep_their_middle_and_the_log_says_so(tmp_path, caplog):
    for number, seconds in enumerate((0.2, 0.2, 1.0)):
        write(tmp_path / f"{number}.wav", tone(seconds))
    source = SpeechFolder(path=str(tmp_path), validation_fraction=0.4)
    for split in ("train", "validation"):
        source.open(split)
    assert "dataset.frames=64: 1 of " in caplog.text and "dataset.frames=126 keeps all" in caplog.text


def test_bands_that_hold_no_frequency_are_refused(tmp_path):
    for name in "ab":
        write(tmp_path / f"{name}.wav")
    with pytest.raises(ValueError, match=r"dataset\.mels=64: 1 bands hold no frequency of dataset\.window=256"):
        SpeechFolder(path=str(tmp_path), rate=44100, resample=True)


def test_loudness_is_evened_out(tmp_path):
    paths = [write(tmp_path / f"{n}.wav", volume * tone()) for n, volume in enumerate((1.0, 0.1))]
    of = field(path=str(tmp_path))
    loud, soft = (read_sound(path, of, Preparation()) for path in paths)
    assert (loud.int() - soft.int()).abs().float().mean() < 0.5  # what 16 bits leave out of the soft one
    loud, soft = (read_sound(path, of, Preparation(normalise=False)) for path in paths)
    assert loud.int().max() - soft.int().max() == pytest.approx(255 * 20 / 80, abs=2)


def test_subfolders_are_classes_and_splits(tmp_path):
    for split in ("train", "test"):
        for name in ("yes", "no"):
            for number in range(2):
                write(tmp_path / split / name / f"{number}.wav")
    source = SpeechFolder(path=str(tmp_path))
    assert source.sizes == {"train": 4, "validation": 4}
    assert source.spec["label"].names == ("no", "yes") and source.spec["x"].shape == (1, 64, 64)
    (table,) = source.open("validation")
    assert sorted(table.load()["label"].tolist()) == [0, 0, 1, 1]


def test_two_subfolders_are_domains(tmp_path):
    for speaker in ("anna", "ben", "carl"):
        for word in ("yes", "no"):
            for number in range(3):
                write(tmp_path / speaker / word / f"{number}.wav")
    source = SpeechFolder(path=str(tmp_path), domains=["ben", "anna"], validation_fraction=0.34)
    assert source.spec.domains == ("a", "b") and source.spec["b_label"].names == ("no", "yes")
    assert [set(table.load()) for table in source.open("train")] == [{"a", "a_label"}, {"b", "b_label"}]
    with pytest.raises(ValueError, match=r"dataset\.domains=.*no sounds in a subfolder dora"):
        SpeechFolder(path=str(tmp_path), domains=["anna", "dora"])
    with pytest.raises(ValueError, match=r"dataset\.domains=.*name two"):
        SpeechFolder(path=str(tmp_path), domains=["anna"])


def test_a_folder_without_sound_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(ValueError, match=r"no sounds in .*1 \.txt.*\.wav"):
        SpeechFolder(path=str(tmp_path))


def test_spoken_digits_are_known_by_their_names(tmp_path):
    for digit in range(2):
        for speaker in ("jackson", "nicolas"):
            for take in (0, 4, 5, 6):
                write(tmp_path / "fsdd/recordings" / f"{digit}_{speaker}_{take}.wav")
    source = SpokenDigits(data_dir=str(tmp_path))
    assert source.sizes == {"train": 8, "validation": 8} and source.spec["label"].names == ("0", "1")
    pair = SpokenDigits(data_dir=str(tmp_path), domains=["nicolas", "jackson"])
    assert pair.sizes == {"train": 4, "validation": 4} and pair.spec.domains == ("a", "b")
    with pytest.raises(ValueError, match=r"no speaker theo; there are jackson, nicolas"):
        SpokenDigits(data_dir=str(tmp_path), domains=["theo", "jackson"])
    write(tmp_path / "fsdd/recordings/hello.wav")
    with pytest.raises(ValueError, match=r"hello\.wav is not named .*speech-folder"):
        SpokenDigits(data_dir=str(tmp_path))


def test_missing_digits_say_where_to_get_them(tmp_path):
    with pytest.raises(ValueError, match=r"data_dir=.* no folder fsdd, .*free-spoken-digit-dataset"):
        SpokenDigits(data_dir=str(tmp_path))


def test_a_checkpoint_keeps_how_spectrograms_were_made(tmp_path):
    write(tmp_path / "a.wav")
    write(tmp_path / "b.wav")
    spec = SpeechFolder(path=str(tmp_path), rate=RATE, mels=40).spec
    assert DataSpec.from_dict(spec.to_dict()) == spec and "spectrogram" in spec.to_dict()["fields"]["x"]
    broken = spec.to_dict()
    broken["fields"]["x"]["spectrogram"]["hop"] = "64"
    with pytest.raises(ValueError, match=r"data\.fields\.x: spectrogram"):
        DataSpec.from_dict(broken)
