"""Datasets of speech: spectrograms with classes, or two domains of a translation."""

import logging
import os
from collections.abc import Sequence
from typing import NamedTuple

import torch

from genlab.contract.data import DataSpec
from genlab.contract.field import Field, Spectrogram
from genlab.contract.settings import Place
from genlab.data.decoding import UnreadableError
from genlab.data.images import refusal
from genlab.data.listing import VALIDATION_FOLDERS, check_folder, list_images
from genlab.data.sounds import SUFFIXES, Preparation, fitted, prepared
from genlab.data.source import SPLITS, ArrayExamples, Examples, Source
from genlab.data.splits import split_rows
from genlab.media.spectrogram import mel_filters, num_bins, num_samples
from genlab.system.progress import progress
from genlab.system.text import natural_order

log = logging.getLogger("genlab")


_URL = "https://github.com/Jakobovski/free-spoken-digit-dataset"


class Recording(NamedTuple):
    """A file, the class of what is said or heard in it, and the domain it belongs to ("x", "a" or "b")."""

    path: str
    label: str
    domain: str = "x"


class Sounds(Source):
    """Recordings as spectrograms: `x` and `label`, or domains `a` and `b` with labels `a_label` and `b_label`.

    recordings: by split. frames: width of the spectrograms. s: how they are made. prepare: what is done before.
    """

    may_provide = frozenset({"x", "label", "a", "b"})

    def __init__(self, recordings: dict[str, list[Recording]], frames: int, s: Spectrogram, prepare: Preparation):
        if not 8 <= frames <= 2**14:
            raise ValueError(f"dataset.frames={frames}: must be at least 8 and at most {2**14}")
        if s.mels and (silent := int((mel_filters(s).sum(1) == 0).sum())):
            raise ValueError(
                f"dataset.mels={s.mels}: {silent} bands hold no frequency of dataset.window={s.window}; give fewer "
                "mels, or a larger window"
            )
        self.recordings, self.prepare = recordings, prepare
        every = [recording for split in SPLITS for recording in recordings[split]]
        self.names = natural_order({recording.label for recording in every})
        self.domains = natural_order({recording.domain for recording in every})
        fields = {domain: Field("image", (1, num_bins(s), frames), spectrogram=s) for domain in self.domains}
        if len(self.names) > 1:
            label = Field("label", size=len(self.names), names=tuple(self.names))
            fields |= {self._label_of(domain): label for domain in self.domains}
        counts = {split: [self._of(split, domain) for domain in self.domains] for split in SPLITS}
        self.sizes = {split: max(map(len, counts[split])) for split in SPLITS}
        if not all(map(len, counts["train"])) or not all(map(len, counts["validation"])):
            raise ValueError("dataset: each split needs a recording of each domain; give more files")
        self.spec = DataSpec(fields, num_examples=self.sizes["train"])

    def _label_of(self, domain: str) -> str:
        return "label" if domain == "x" else f"{domain}_label"

    def _of(self, split: str, domain: str) -> list[Recording]:
        return [recording for recording in self.recordings[split] if recording.domain == domain]

    def open(self, split: str) -> list[Examples]:
        return [self._table(self._of(split, domain), domain) for domain in self.domains]

    def _table(self, recordings: Sequence[Recording], domain: str) -> Examples:
        """All recordings, in memory: an hour of speech takes about 30 MB."""
        field, images, problems, longest = self.spec[domain], [], [], 0
        assert field.spectrogram
        length, longer = num_samples(field.spectrogram, field.shape[2]), 0
        with progress("reading sounds", len(recordings)) as count_on:
            for recording in recordings:
                try:
                    wave = prepared(recording.path, field.spectrogram.rate, self.prepare)
                    images.append(fitted(wave, field))
                    longest, longer = max(longest, len(wave)), longer + (len(wave) > length)
                except UnreadableError as error:
                    problems.append(error)
                count_on(1)
        if problems:
            raise refusal(problems, skip=None)
        if longer:
            frames = 1 + -(-longest // field.spectrogram.hop)
            log.warning(
                "dataset.frames=%d: %d of %d sounds are longer and keep their middle; dataset.frames=%d keeps all",
                *(field.shape[2], longer, len(images), frames),
            )
        labels = torch.tensor([self.names.index(recording.label) for recording in recordings])
        named = {self._label_of(domain): labels} if len(self.names) > 1 else {}
        return ArrayExamples(**{domain: torch.stack(images)}, **named)


def check_domains(root: str, domains: list[str] | None) -> None:
    """`ValueError` unless `domains`, of what is in the folder `root`, are two, or None."""
    if domains is not None and (len(domains) != 2 or len(set(domains)) != 2):
        raise ValueError(f"dataset.domains={domains}: name two of what is in {root}, as in [anna,ben]")


class SpeechFolder(Sounds):
    """Any folder of sounds. Two or more subfolders are the classes; with `domains`, two of them are a and b.

    path: the folder. If it has subfolders train and val (or valid, validation, test), each is such a folder.
    frames: width of the spectrograms; longer sounds keep their middle, shorter ones are followed by silence.
    rate, window, hop, mels, floor: see `Spectrogram`. trim, normalise, resample: see `Preparation`.
    domains: names of two subfolders, between which sounds are translated; their subfolders are the classes then.
    validation_fraction: fraction held out, drawn with `seed`, if no folder is held out.
    """

    def __init__(
        self,
        *,
        path: Place | None,
        frames: int = 64,
        rate: int = 8000,
        window: int = 256,
        hop: int = 64,
        mels: int = 64,
        floor: int = -80,
        trim: bool = True,
        normalise: bool = True,
        resample: bool = False,
        domains: list[str] | None = None,
        validation_fraction: float = 0.1,
        seed: int = 0,
    ):
        root = check_folder(path, "/data/speech", what="sounds")
        check_domains(root, domains)
        places = {"train": root}
        if os.path.isdir(os.path.join(root, "train")):
            held_out = next((n for n in VALIDATION_FOLDERS if os.path.isdir(os.path.join(root, n))), None)
            places = {"train": os.path.join(root, "train")}
            places |= {"validation": os.path.join(root, held_out)} if held_out else {}
        found = {split: self.listed(place, domains) for split, place in places.items()}
        if "validation" not in found:
            rows = split_rows(len(found["train"]), validation_fraction, seed, what=f"dataset.path={path}")
            found = {split: [found["train"][row] for row in rows[split].tolist()] for split in SPLITS}
        super().__init__(
            found, frames, Spectrogram(rate, window, hop, mels, floor), Preparation(resample, trim, normalise)
        )

    def listed(self, place: str, domains: list[str] | None) -> list[Recording]:
        """The recordings below a folder. `ValueError` if there are none, or a domain is missing."""
        paths, notes = list_images(place, suffixes=SUFFIXES, what="sounds")
        self.notes = (*self.notes, *notes)
        parts = {path: os.path.dirname(os.path.relpath(path, place)).split(os.sep) for path in paths}
        if domains is None:
            return [Recording(path, parts[path][0]) for path in paths]
        if missing := [name for name in domains if all(folders[0] != name for folders in parts.values())]:
            raise ValueError(f"dataset.domains={domains}: {place} has no sounds in a subfolder {missing[0]}")
        named = dict(zip(domains, "ab", strict=True))
        chosen = ((path, folders) for path, folders in parts.items() if folders[0] in named)
        return [Recording(path, "".join(folders[1:2]), named[folders[0]]) for path, folders in chosen]


class SpokenDigits(Sounds):
    """The Free Spoken Digit Dataset: files DIGIT_SPEAKER_TAKE.wav at 8 kHz, of which takes 0 to 4 are held out.

    data_dir: holds fsdd/recordings. domains: two speakers, between whom speech is translated; the label
        is the digit. Others as of `SpeechFolder`.
    """

    _HELD_OUT = 5

    def __init__(
        self,
        *,
        data_dir: Place,
        frames: int = 64,
        window: int = 256,
        hop: int = 64,
        mels: int = 64,
        domains: list[str] | None = None,
    ):
        root = os.path.join(os.path.expanduser(data_dir), "fsdd")
        if not os.path.isdir(root):
            raise ValueError(f"data_dir={data_dir}: holds no folder fsdd, as git clone {_URL} fsdd makes one there")
        check_domains(root, domains)
        found: dict[str, list[Recording]] = {split: [] for split in SPLITS}
        named = None if domains is None else dict(zip(domains, "ab", strict=True))
        speakers = set()
        paths, self.notes = list_images(root, suffixes=SUFFIXES[:1], what="sounds")
        for file in paths:
            parts = os.path.basename(file).removesuffix(".wav").split("_")
            if len(parts) != 3 or not parts[0].isdigit() or not parts[2].isdigit():
                raise ValueError(f"data_dir: {file} is not named as in 7_jackson_12.wav; use dataset=speech-folder")
            digit, speaker, take = parts
            speakers.add(speaker)
            if named is None or speaker in named:
                recording = Recording(file, digit, "x" if named is None else named[speaker])
                found["validation" if int(take) < self._HELD_OUT else "train"].append(recording)
        if named and (missing := set(named) - speakers):
            known = ", ".join(sorted(speakers))
            raise ValueError(f"dataset.domains={domains}: no speaker {min(missing)}; there are {known}")
        super().__init__(found, frames, Spectrogram(window=window, hop=hop, mels=mels), Preparation())
