"""Bash completion: commands, config groups with their choices, and keys of the config. Reads YAML files alone."""

import textwrap

from genlab.config.paths import config_folder

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
    """`genlab completion` prints the script; `genlab complete LINE` prints the words that may come next."""
    if name == "completion":
        print(_SCRIPT if arguments == ["bash"] else '# add to ~/.bashrc:\neval "$(genlab completion bash)"')
    else:
        print("\n".join(candidates(arguments[0] if arguments else "")))
    return 0


def group_choices() -> dict[str, list[str]]:
    """Config groups that have files, each with its choices."""
    folders = sorted(path for path in config_folder().iterdir() if path.is_dir())
    return {folder.name: names for folder in folders if (names := sorted(p.stem for p in folder.glob("*.yaml")))}


def group_table() -> str:
    """The groups as help shows them."""
    rows = ["groups (group=choice)"]
    for group, names in group_choices().items():
        if len(names) > 1:
            indent = {"initial_indent": f"  {group:<11}", "subsequent_indent": 13 * " "}
            rows += textwrap.wrap(", ".join(names), width=100, break_on_hyphens=False, **indent)
    return "\n".join(rows)


def candidates(line: str) -> list[str]:
    """Words that may stand at the end of a command line that begins with `line`."""
    from genlab.cli import COMMANDS

    words = line.split(" ")
    if len(words) <= 2:
        return [name for name in COMMANDS if name.startswith(words[-1])]
    if words[1] != "train":
        return [key for key in _own_keys(words[1]) if key.startswith(words[-1])]
    groups = group_choices()
    current = words[-1]
    group, equals, _ = current.partition("=")
    if equals:
        return [f"{group}={name}" for name in groups.get(group, []) if f"{group}={name}".startswith(current)]
    chosen = dict(word.split("=", 1) for word in words[2:-1] if "=" in word)
    keys = [f"{name}=" for name in (*groups, "seed", "output_dir", "data_dir", "init_from")]
    return [key for key in (*keys, *_keys(groups, chosen)) if key.startswith(current)]


def _own_keys(command: str) -> list[str]:
    """Keys of a command's own YAML and of those that it starts from."""
    import yaml

    content = yaml.safe_load((config_folder() / f"{command}.yaml").read_text())
    keys = [f"{key}=" if key != "run" else "run=latest" for key in content if key != "defaults"]
    for base in content["defaults"]:
        if isinstance(base, dict):  # a group, and where its keys go
            (name, choice) = next(iter(base.items()))
            group, _, package = name.partition("@")
            keys += _own_keys(f"{group}/{choice}") if package == "_global_" else [f"{group}="]
        elif (config_folder() / f"{base}.yaml").is_file():
            keys += _own_keys(base)
    return list(dict.fromkeys(keys))


def _keys(groups: dict[str, list[str]], chosen: dict[str, str]) -> list[str]:
    """Dotted keys of the chosen (or the first) file of each group."""
    import yaml

    defaults = {"model": "vae", "dataset": "digits", "optimizer": "adam", "schedule": "warmup_cosine"}
    keys = []
    for group, names in groups.items():
        name = chosen.get(group, defaults.get(group, names[0]))
        if name in names:
            content = yaml.safe_load((config_folder() / group / f"{name}.yaml").read_text()) or {}
            node = content.get(group, {}) if group == "model" else content
            keys += [f"{group}.{key}=" for key in node if not key.startswith("_")]
    return keys
