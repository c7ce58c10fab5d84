"""What a user meant by a mistaken command line, and the command to paste. Imports no torch."""

import os
import re
import shlex
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from hydra import compose
from omegaconf import OmegaConf

from genlab.checkpoints.folder import RunFolder, found_below
from genlab.commands.lines import quoted
from genlab.commands.meant_values import meant_value
from genlab.commands.other_names import OTHER_KEYS, data_at, letters, same
from genlab.config.commands import COMMANDS, OPEN_GROUPS, SHORT_KEYS, ignored_device_keys
from genlab.config.compose import COMPOSITION_ERRORS, composing
from genlab.config.hints import hint_of, missing_part
from genlab.config.options import option_problem
from genlab.config.paths import groups, options
from genlab.config.reading import readable, reads, takes_whole_numbers_only, with_whole_numbers
from genlab.config.renamed import MOVED_KEYS, RENAMED_KEYS
from genlab.config.revise import FREE
from genlab.contract.settings import RunConfig, flattened

_GROUPS = ("model", "dataset", "experiment", "network", "optimizer", "schedule", "sweep", "device")
"""Groups of which a word alone may name a choice, the likeliest first."""

_COUNTS = ("num_samples", "num_images", "num_shown", "rows")
"""Keys of which a number alone may be the value."""


@dataclass
class _Argument:
    """given: the words as typed. meant: what they become. reasons: why; none if nothing was mistaken."""

    given: list[str]
    meant: list[str]
    reasons: list[str] = field(default_factory=list)


def corrected(command: str, arguments: list[str]) -> tuple[list[str], list[str]]:
    """The arguments as they were meant, in a form that Hydra reads, and a line for each mistake, with what to write.

    What cannot be guessed stays as it is, and is explained when it is composed.
    """
    if command == "list":  # takes a plain word
        return arguments, []
    found = _CommandLine(command, arguments).read()
    mistakes = [argument for argument in found if argument.reasons]
    meant = [text for argument in found for text in argument.meant]
    whole = shlex.join(["genlab", command, *meant])
    lines = []
    for argument in mistakes:
        instead = whole if len(mistakes) == 1 else shlex.join(argument.meant)
        line = f"{' '.join(argument.given)}: {'; '.join(argument.reasons)}"
        lines.append(f"{line}; write {instead}" if instead else line)
    if len(mistakes) > 1:
        lines[-1] += f"; in all: {whole}"
    return meant, lines


class _CommandLine:
    def __init__(self, command: str, arguments: list[str]):
        self.command, self.arguments = command, arguments
        self.schemas = [COMMANDS[command].schema, *([RunConfig] if command == "resume" else [])]

    def read(self) -> list[_Argument]:
        """The arguments, each with what it means."""
        found = list(self._joined())
        for argument in found:
            if argument.meant[0].partition("=")[1] and not argument.meant[0].startswith("-"):
                argument.meant[:1] = self._setting(argument.meant[0], argument.reasons)
        if len(places := [argument for argument in found if "is the value of a key, runs" in argument.reasons]) > 1:
            listed = ",".join(argument.meant.pop().partition("=")[2] for argument in places)
            places[0].meant.append(f"runs=[{listed}]")
        self._count_epochs(found)
        return found

    def _joined(self) -> Iterator[_Argument]:
        """The arguments as key=value, where they are options, have spaces around "=", or are the name of something."""
        flags = ("-m", "--multirun", "--cfg", "--resolve") if self.command == "train" else ()
        rest = deque(self.arguments)
        while rest:
            first = rest.popleft()
            if first in flags:
                yield _Argument([first], [first])
                if first == "--cfg" and rest:
                    yield _Argument([rest[0]], [rest.popleft()])
                continue
            given, is_option = [first], first.startswith("-")
            key, equals, value = first.lstrip("-").partition("=")
            key = key.replace("-", "_") if is_option else key.removesuffix(":")
            if not value and rest and rest[0].startswith("="):
                given.append(rest[0])
                equals, value = "=", rest.popleft()[1:]
            if not value and rest and _is_plain(rest[0]) and (equals or self._is_key(key)):
                given.append(rest[0])
                equals, value = "=", rest.popleft()
            if not equals and is_option and self._hint(key) is bool:
                equals, value = "=", "true"
            if not equals:
                yield self._named(first)
            elif is_option and not self._is_key(key):
                yield from (_Argument([word], [word]) for word in given)
            else:
                wrong = ["settings are written key=value, without spaces"] if is_option or len(given) > 1 else []
                yield _Argument(given, [f"{key}={value}"], wrong)

    def _named(self, word: str) -> _Argument:
        """A word alone: a choice of a group, a run, a file or a folder; or else it stays."""
        for group in _GROUPS:
            if self._exists(group) and (name := same(word, options(group))):
                return _Argument([word], [f"{group}={name}"], [f"names {'an' if group[0] in 'eo' else 'a'} {group}"])
        path = Path(os.path.expanduser(word))
        is_run = word == "latest" or RunFolder(path).holds_run or path.suffix == ".safetensors"
        there = path.exists() and not word.startswith("-")
        place, key = quoted(word), None
        if self._hint("run") and (is_run or there or ("/" in word and word[0] not in "~+")):
            key = "input" if there and self._hint("input") and not (is_run or any(found_below(path))) else "run"
        elif word.isdecimal() and not there:
            key = next(filter(self._hint, _COUNTS), None)
        elif self._hint("runs") and there:
            key = "runs"
        elif self.command == "train" and is_run and there:
            resume = shlex.join(["genlab", "resume", f"run={place}"])
            return _Argument([word], [f"init_from={place}"], [f"names a run, which {resume} continues"])
        elif self.command in ("train", "data") and there:
            return _Argument([word], data_at(word), ["is where data are"])
        return (
            _Argument([word], [f"{key}={place}"], [f"is the value of a key, {key}"])
            if key
            else _Argument([word], [word])
        )

    def _setting(self, text: str, reasons: list[str]) -> list[str]:
        """A setting as it was meant, none if it says nothing; what was wrong goes to `reasons`."""
        key, _, value = text.partition("=")
        if not self._exists(bare := key.lstrip("+")) and self._full_keys(bare):
            key = bare
        if not value.strip(" \"'"):
            what = "name a run folder or a checkpoint file" if key == "run" else "give a value"
            reasons.append(f"is empty, as an unset variable of the shell is; {what}, or leave it out")
            return []
        if match := re.fullmatch(r"(\d+),(0\d+)", value):  # no second value of a sweep begins with a 0
            reasons.append("numbers are written without a comma")
            value = match[1] + ("" if takes_whole_numbers_only(self._hint(key)) else ".") + match[2]
        more: list[str] = []
        if key[0] not in "+~":
            key = self._key(key, reasons)
            value, *more = meant_value(key, value, self.schemas[-1], reasons)
        text = with_whole_numbers(readable(f"{key}={value}"), self._hint)
        if not reads(text) and value[0] not in "[{" and key not in groups() and reads(f"{key}="):
            reasons.append("cannot be read without quotes")
            text = f"{key}={quoted(value)}"
        return [text, *more]

    def _key(self, key: str, reasons: list[str]) -> str:
        """A key as it is called."""
        if self._exists(key) or not (full := self._full_keys(key)):
            return key
        which = " or ".join(map(repr, full))
        reasons.append(f"genlab {self.command} has no key {key!r}; did you mean {which}?")
        return full[0]

    def _count_epochs(self, found: list[_Argument]) -> None:
        """Add trainer.max_steps=null to a number of epochs: the recipe counts steps."""
        meant = {text.partition("=")[0]: argument for argument in found for text in argument.meant}
        epochs = meant.get("trainer.max_epochs")
        if self.command == "train" and epochs and "trainer.max_steps" not in meant:
            epochs.reasons.append("the recipe counts steps, which win over epochs")
            epochs.meant.append("trainer.max_steps=null")

    def _hint(self, key: str) -> Any:
        return next((hint for schema in self.schemas if (hint := hint_of(schema, key))), None)

    def _exists(self, key: str) -> bool:
        """Whether there is such a key, or composition has a message for it."""
        known = {*SHORT_KEYS, *RENAMED_KEYS, *MOVED_KEYS, *(groups() if self.command in ("train", "resume") else ())}
        special = key.startswith("hydra") or key.partition(".")[0] in OPEN_GROUPS or "@" in key
        return special or key in known or self._hint(key) is not None

    def _is_key(self, word: str) -> bool:
        return self._exists(word) or bool(self._full_keys(word))

    def _full_keys(self, key: str) -> list[str]:
        """The keys whose last part is that of `key`, or is what others call so; none for a misspelt one, which is
        explained when it is composed."""
        if "." in key and "did you mean" in (missing_part(self._config, key) or ""):
            return []
        name = letters(key.rpartition(".")[2])
        hidden = [f"device.{hidden}" for hidden in ignored_device_keys(self.command)]
        keys = dict.fromkeys([*self._config, *(key for key, _ in flattened(self._config) if key not in hidden)])
        words = (name, letters(OTHER_KEYS.get(name, "")))
        named = ([key for key in keys if letters(key.rpartition(".")[2]) == word] for word in words)
        return next(filter(None, named), [])

    @cached_property
    def _config(self) -> dict[str, Any]:
        """The keys and values of the command, with the choices of its line as far as there are such."""
        settings = (text.partition("=") for text in self.arguments)
        chosen = {group: value.split(",")[0] for group, _, value in settings if group in groups()}
        valid = [f"{group}={name}" for group, name in chosen.items() if not option_problem(group, name)]
        found: dict[str, Any] = {}
        with composing(), suppress(*COMPOSITION_ERRORS):  # explained when the line is composed
            if self.command == "resume":
                allowed = {"trainer", "loader", *FREE}
                found = {key: value for key, value in _plain("train", []).items() if key in allowed}
            return found | _plain(self.command, [line for line in valid if self._exists(line.partition("=")[0])])
        return found


def _plain(command: str, overrides: list[str]) -> dict[str, Any]:
    found: Any = OmegaConf.to_container(compose(command, overrides))
    return {key: value for key, value in found.items() if key != "for_data"}


def _is_plain(word: str) -> bool:
    """Whether it may be a value: a word that is neither a setting nor an option."""
    return "=" not in word and (not word.startswith("-") or word[1:2].isdigit())
