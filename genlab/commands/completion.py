"""Bash completion of commands, config groups, keys and values. Reads only YAML and tables."""

import re
from pathlib import Path
from typing import Any

from genlab.config.commands import COMMANDS, ignored_device_keys
from genlab.config.paths import config_file, group_choices
from genlab.contract.limits import limits_of

_SCRIPT = """_genlab() {
    local line="${COMP_LINE:0:COMP_POINT}"
    local words
    words=$(genlab complete "$line" 2>/dev/null)
    local current="${line##* }"
    local prefix="${current%"${current##*[=:]}"}"
    COMPREPLY=($(compgen -W "$words" -- "$current"))
    COMPREPLY=("${COMPREPLY[@]#"$prefix"}")
    [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *[=/] ]] && compopt -o nospace
}
complete -o default -F _genlab genlab
"""


def main(name: str, arguments: list[str]) -> int:
    """`genlab completion` prints the script; `genlab complete LINE` prints the possible next words."""
    if name == "completion":
        print(_SCRIPT if arguments == ["bash"] else '# add to ~/.bashrc:\neval "$(genlab completion bash)"')
    else:
        print("\n".join(candidates(arguments[0] if arguments else "")))
    return 0


def candidates(line: str) -> list[str]:
    """Words that can complete the last word of the command line `line`."""
    words = line.split(" ")
    current = words[-1]
    if len(words) <= 2:
        return [name for name in COMMANDS if name.startswith(current)]
    if words[1] not in COMMANDS:
        return []
    chosen = dict(word.split("=", 1) for word in words[2:-1] if "=" in word)
    groups, keys = _groups_and_keys(words[1], chosen)
    name, equals, _ = current.partition("=")
    if equals:
        found = [f"{name}={value}" for value in groups.get(name) or _values(words[1], name, keys.get(name))]
    else:
        found = [f"{key}=" for key in dict.fromkeys((*groups, *keys)) if key != "run"]
        found += ["run=latest"] if "run" in keys else []
    return [word for word in found if word.startswith(current)]


def _values(command: str, key: str, default: Any) -> list[str]:
    """The values of a key, if there are few."""
    if isinstance(default, bool):
        return ["true", "false"]
    return ["latest"] if key == "run" else list(limits_of(COMMANDS[command].schema, key).choices)


def _groups_and_keys(command: str, chosen: dict[str, str]) -> tuple[dict[str, list[str]], dict[str, Any]]:
    """A command's config groups with their choices, and its dotted keys with the defaults from the `chosen` files."""
    content, choices = _read(f"{command}.yaml")
    keys = {key: value for key, value in content.items() if key != "hydra"}
    known = {name: names for name, names in group_choices().items() if name in choices}
    if "model" in choices:  # a model's file can select the optimizer and the schedule
        choices |= _read(f"model/{chosen.get('model', choices['model'])}.yaml")[1]
    for group in known:
        content, _ = _read(f"{group}/{chosen.get(group, choices[group])}.yaml")
        if group in ("model", "experiment", "sweep"):  # these files set keys of the whole config
            content = content.get(group, {})
        keys |= {f"{group}.{key}": value for key, value in content.items() if not key.startswith("_")}
    ignored = {f"device.{name}" for name in ignored_device_keys(command)}
    keys = {key: value for key, value in keys.items() if key not in ignored}
    return known, keys


def _read(name: str) -> tuple[dict[str, Any], dict[str, str]]:
    """The values that a config file and its bases set, and the choice they make in each group."""
    import yaml

    file = config_file(name)
    text = file.read_text(encoding="utf-8") if file.is_file() else ""
    content = yaml.safe_load(text) or {}
    values: dict[str, Any] = {}
    choices: dict[str, str] = {}
    for base in content.pop("defaults", []):
        group, choice = next(iter(base.items())) if isinstance(base, dict) else (None, base)
        if group is None:
            inner = _read(str(Path(name).with_name(f"{choice}.yaml")))
        elif group.endswith("@_global_"):
            inner = _read(f"{group.removesuffix('@_global_')}/{choice}.yaml")
        else:
            inner = {}, {group.removeprefix("override ").lstrip("/"): choice}
        values, choices = values | inner[0], choices | inner[1]
    package = re.match(r"# @package (?!_global_)(\S+)", text)  # the node that a file's keys belong to
    prefix = f"{package[1]}." if package else ""
    return values | {f"{prefix}{key}": value for key, value in content.items()}, choices
