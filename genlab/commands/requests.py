"""From a command line to the argument of a command's `main`. Imports no torch."""

import shlex
from dataclasses import dataclass, field
from typing import Any

from hydra.core.override_parser.types import QuotedString

from genlab.commands.corrections import corrected
from genlab.config.check import limit_problems, problems_of_node, with_whole_settings
from genlab.config.commands import COMMANDS, NO_DATASET, DatasetChoice, DataUseConfig
from genlab.config.compose import Composed, Job, RequestError, as_job, compose_command, compose_job, parse, register
from genlab.config.files import comments_of
from genlab.contract.settings import LISTED_GROUPS, typed


@dataclass
class TrainRequest:
    """A parsed `genlab train`.

    overrides: the command line without its options. job: the run; None for a sweep, and for `show`.
    found: problems found while composing; `job` is then composed from the remaining arguments, if possible.
    show: the options of `--cfg`, to print the config only, with these comments by dotted key.
    """

    overrides: list[str]
    job: Job | None = None
    found: list[str] = field(default_factory=list)
    show: list[str] = field(default_factory=list)
    comments: dict[str, str] = field(default_factory=dict)


@dataclass
class ResumeRequest:
    """A parsed `genlab resume`. run: None means the last one stopped. overrides: for keys of the run or the sweep."""

    run: str | None
    output_dir: str
    overrides: list[str]


def compose_request(command: str, arguments: list[str]) -> Any:
    """Parse the `arguments` of a `command`. `ValueError` with all problems that can be found without torch."""
    register()
    meant, mistakes = corrected(command, [_listed(argument) for argument in arguments])
    try:
        request = _compose_request(command, meant)
    except ValueError as error:
        if not mistakes:
            raise
        raise RequestError([*mistakes, *str(error).splitlines()]) from error
    if mistakes:
        raise RequestError([*mistakes, *getattr(request, "found", ())])
    return request


def _listed(argument: str) -> str:
    """`logger=csv,wandb` as Hydra writes several choices of one group, `logger=[csv,wandb]`; they make no sweep. And
    null as it writes none."""
    key, _, value = argument.partition("=")
    if key not in LISTED_GROUPS or value.startswith(("[", '"', "'")):
        return argument
    return f"{key}=[]" if value == "null" else f"{key}=[{value}]" if "," in value else argument


def _compose_request(command: str, arguments: list[str]) -> Any:
    if command == "train":
        return _train(arguments)
    if flags := [argument for argument in arguments if argument.startswith("-")]:
        raise ValueError(f"{flags[0]}: no such option; see genlab {command} --help")
    if command == "list":  # the only command with a plain word
        arguments = [argument if "=" in argument else f"what={argument}" for argument in arguments]
    return _resume(arguments) if command == "resume" else _use(command, arguments)


def _use(command: str, arguments: list[str]) -> Any:
    """The typed config of a command that uses trained runs."""
    own = _of_own_data(command, arguments)
    composed = compose_command(command, [argument for argument in arguments if argument not in own])
    config: Any = typed(COMMANDS[command].schema, composed.values)
    problems = list(limit_problems(config))
    settings = composed.values.get("dataset")
    if settings == NO_DATASET:
        config.dataset = DatasetChoice("", dict(own.values())) if own else None
    elif settings:
        settings = with_whole_settings("dataset", settings)
        problems += problems_of_node("dataset", settings)
        config.dataset = DatasetChoice(composed.choices["dataset"], settings)
    if problems:
        raise RequestError(problems)
    return config


def _of_own_data(command: str, arguments: list[str]) -> dict[str, tuple[str, Any]]:
    """Arguments that set a path of `dataset` where none is chosen: the key's name and value, by argument."""
    overrides = parse(arguments) if issubclass(COMMANDS[command].schema, DataUseConfig) else []
    if any(override.key_or_group == "dataset" for override in overrides):
        return {}
    found = {}
    for override in overrides:
        node, _, name = override.key_or_group.partition(".")
        if node == "dataset" and name.endswith("path"):
            value: Any = override.value()
            found[override.input_line] = (name, value.text if isinstance(value, QuotedString) else value)
    return found


def _resume(arguments: list[str]) -> ResumeRequest:
    own = [override.input_line for override in parse(arguments) if override.key_or_group in ("run", "output_dir")]
    values = compose_command("resume", own).values
    return ResumeRequest(**values, overrides=[argument for argument in arguments if argument not in own])


def _train(arguments: list[str]) -> TrainRequest:
    if "--cfg" in arguments:
        return _show(arguments)
    multirun = arguments[:1] in (["-m"], ["--multirun"])
    overrides = arguments[1:] if multirun else arguments
    if misplaced := [argument for argument in overrides if argument.startswith("-")]:
        rest = shlex.join(argument for argument in overrides if not argument.startswith("-"))
        if misplaced[0] in ("-m", "--multirun"):
            raise ValueError(f"{misplaced[0]} must come before the settings: genlab train -m {rest}")
        raise ValueError(f"{misplaced[0]}: no such option; see genlab train --help")
    keys = {override.split("=")[0] for override in overrides}
    if not multirun and (of_sweeps := [key for key in keys if key.split(".")[0] == "sweep"]):
        raise ValueError(f"{of_sweeps[0]} needs -m: genlab train -m {shlex.join(overrides)}")
    if multirun:
        return TrainRequest(overrides)
    try:
        return TrainRequest(overrides, compose_job(overrides))
    except RequestError as error:
        if isinstance(error.rest, Composed):  # checking the remaining arguments may find more mistakes
            return TrainRequest(overrides, as_job(error.rest), error.problems)
        raise


def _show(arguments: list[str]) -> TrainRequest:
    place = arguments.index("--cfg")
    flags, overrides = arguments[place : place + 2], arguments[:place] + arguments[place + 2 :]
    if flags[1:] not in (["job"], ["hydra"], ["all"]):
        raise ValueError("--cfg: takes job, hydra or all, as in genlab train model=gan --cfg job")
    composed = compose_command("train", [override for override in overrides if override != "--resolve"])
    comments = comments_of("train", composed.choices)
    return TrainRequest([*composed.adjusted, *overrides], show=flags, comments=comments)
