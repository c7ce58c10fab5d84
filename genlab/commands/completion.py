"""Completion of commands, config groups, keys and values by bash, zsh and fish. Reads only YAML, tables and folders."""

import os
import typing
from contextlib import suppress
from pathlib import Path
from typing import Any

from genlab.checkpoints.folder import found_below
from genlab.config.commands import COMMANDS, ignored_device_keys
from genlab.config.files import read_file
from genlab.config.paths import group_choices
from genlab.contract.limits import limits_of
from genlab.contract.settings import is_place

_SCRIPTS = {
    "bash": """_genlab() {
    local line="${COMP_LINE:0:COMP_POINT}" word
    local current="${line##* }"
    local prefix="${current%"${current##*[=:]}"}"
    COMPREPLY=()
    while IFS= read -r word; do
        printf -v word %q "${word#"$prefix"}"
        COMPREPLY+=("$word")
    done < <(genlab complete "$line" 2>/dev/null)
    [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *[=/] ]] && compopt -o nospace
}
complete -o default -F _genlab genlab
""",
    "zsh": """#compdef genlab
_genlab() {
    local -a found
    found=("${(@f)$(genlab complete "${(j: :)words[1,CURRENT-1]} $PREFIX" 2>/dev/null)}")
    compadd -S '' -- ${(M)found:#*[=/]}
    compadd -- ${found:#*[=/]}
}
(( $+functions[compdef] )) || { autoload -Uz compinit && compinit }
compdef _genlab genlab
""",
    "fish": """function __genlab_complete
    genlab complete (commandline -cp | string collect) 2>/dev/null
end
complete -c genlab -e
complete -c genlab -f -a '(__genlab_complete)'
""",
}

_USAGE = """bash  add to ~/.bashrc:                   eval "$(genlab completion bash)"
zsh   add to ~/.zshrc:                    eval "$(genlab completion zsh)"
fish  add to ~/.config/fish/config.fish:  genlab completion fish | source"""


def main(name: str, arguments: list[str]) -> int:
    """`genlab completion SHELL` prints the script; `genlab complete LINE` prints the possible next words."""
    if name == "complete":
        print("\n".join(candidates(arguments[0] if arguments else "")))
    elif not arguments:
        print(_USAGE)
    elif arguments[0] in _SCRIPTS and len(arguments) == 1:
        print(_SCRIPTS[arguments[0]])
    else:
        raise ValueError(f"completion {' '.join(arguments)}: takes one of {', '.join(_SCRIPTS)}")
    return 0


def candidates(line: str) -> list[str]:
    """Words that can complete the last word of the command line `line`."""
    words = line.lstrip().split(" ")
    command, current = words[1] if len(words) > 2 else "", words[-1]
    if not command:
        return [name for name in COMMANDS if name.startswith(current)]
    if command not in COMMANDS:
        return []
    chosen = dict(word.split("=", 1) for word in words[2:-1] if "=" in word)
    groups, keys = _groups_and_keys(command, chosen)
    name, equals, value = current.partition("=")
    if equals:
        if name in groups:
            found = groups[name]
        elif name in ("run", "init_from"):
            places = _runs(name, chosen.get("output_dir") or keys["output_dir"])
            found = [place for place in places if place.startswith(value)] or _paths(value)
        elif _takes_path(command, name):
            found = _paths(value)
        else:
            found = _values(command, name, keys.get(name))
        found = [f"{name}={word}" for word in found]
    else:
        found = [f"{key}=" for key in dict.fromkeys((*groups, *keys))]
    return [word for word in found if word.startswith(current)]


def _values(command: str, key: str, default: Any) -> list[str]:
    """The values of a key, if there are few."""
    if isinstance(default, bool):
        return ["true", "false"]
    return list(limits_of(COMMANDS[command].schema, key).choices)


def _takes_path(command: str, key: str) -> bool:
    """Whether a key says where files are; of a dataset, whose class is not imported here, by its name."""
    hints = typing.get_type_hints(COMMANDS[command].schema, include_extras=True)
    return is_place(hints.get(key)) or (key.startswith("dataset.") and key.endswith(("path", "data_dir")))


def _runs(key: str, output_dir: str) -> list[str]:
    """The runs that a key may name; `run` also takes sweeps, and the latest."""
    runs, sweeps = found_below(Path(os.path.expanduser(output_dir)))
    return [*map(str, runs), *(["latest", *map(str, sweeps)] if key == "run" else [])]


def _paths(typed: str) -> list[str]:
    """The files and folders that a path which begins like this may name; folders end in a slash."""
    above, slash, begun = typed.rpartition("/")
    found = []
    with suppress(OSError):
        for entry in sorted(os.scandir(os.path.expanduser(above + slash) or "."), key=lambda entry: entry.name):
            if entry.name.startswith(begun) and (begun or not entry.name.startswith(".")):
                found.append(f"{above}{slash}{entry.name}{'/' * entry.is_dir()}")
    return found


def _groups_and_keys(command: str, chosen: dict[str, str]) -> tuple[dict[str, list[str]], dict[str, Any]]:
    """A command's config groups with their choices, and its dotted keys with the defaults from the `chosen` files."""
    file = read_file(f"{command}.yaml")
    choices = file.choices
    keys = {key: value for key, value in file.values.items() if not key.startswith("hydra.")}
    known = {name: names for name, names in group_choices().items() if name in choices}
    if "model" in choices:  # a model's file can select the optimizer and the schedule
        choices |= read_file(f"model/{chosen.get('model', choices['model'])}.yaml").choices
    for group in known:
        own = read_file(f"{group}/{chosen.get(group, choices[group])}.yaml").values
        keys |= {key: value for key, value in own.items() if key.startswith(f"{group}.") and "._" not in key}
    ignored = {f"device.{name}" for name in ignored_device_keys(command)}
    return known, {key: value for key, value in keys.items() if key not in ignored}
