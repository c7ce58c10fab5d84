"""The house has floors: a room imports only rooms below its own, in whatever way, and nobody else's private names."""

import ast
from pathlib import Path

import pytest

import genlab

PACKAGE = Path(genlab.__file__).parent

FLOORS = (
    ("system", "losses", "diffusion"),
    ("contract",),
    ("metrics", "checkpoints", "media"),
    ("data", "networks"),
    ("config", "models", "training"),
    ("callbacks", "comparison"),
    ("inference",),
    ("inspection", "evaluation"),
    ("runs",),
    ("sweeps",),
    ("commands",),
    ("cli",),
    ("__init__", "__main__"),
)
"""From the ground up; README's "The house" describes the rooms in this order."""

FLOOR = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}

MOST_LINES = 250
MOST_INDENTED = 45


def room_of(file: Path) -> str:
    parts = file.relative_to(PACKAGE).parts
    return parts[0] if len(parts) > 1 else file.stem


def imports(file: Path):
    """Line, indentation and dotted name of everything of GenLab's that a file imports, at whatever depth."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: imports by a relative name"
            if (node.module or "").split(".")[0] == "genlab":
                for alias in node.names:
                    yield node.lineno, node.col_offset, f"{node.module}.{alias.name}"
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == "genlab":
                    yield node.lineno, node.col_offset, alias.name


FILES = sorted(PACKAGE.rglob("*.py"))


def test_every_room_has_a_floor():
    assert {room_of(file) for file in FILES} == set(FLOOR)


@pytest.mark.parametrize("room", FLOOR)
def test_a_room_rests_only_on_rooms_below(room):
    upward = [
        f"{file.relative_to(PACKAGE)}:{line}: {name}"
        for file in FILES
        if room_of(file) == room
        for line, _, name in imports(file)
        if (other := [*name.split("."), "__init__"][1]) != room and FLOOR.get(other, FLOOR["__init__"]) >= FLOOR[room]
    ]
    assert not upward


def test_no_file_imports_itself_by_way_of_others():
    names = {".".join(("genlab", *file.relative_to(PACKAGE).with_suffix("").parts)): file for file in FILES}
    graph = {}
    for module, file in names.items():
        found = {candidate for _, _, name in imports(file) for candidate in (name, name.rpartition(".")[0])}
        graph[module] = found & set(names) - {module}
    while leaves := [module for module, needs in graph.items() if not needs]:
        for leaf in leaves:
            del graph[leaf]
        for needs in graph.values():
            needs.difference_update(leaves)
    assert not graph, "files in circles, and those that rest on them"


def test_few_imports_wait_until_they_are_needed():
    indented = []
    for file in FILES:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, (ast.Import, ast.ImportFrom)) and node.col_offset:
                indented.append(f"{file.relative_to(PACKAGE)}:{node.lineno}")
    assert len(indented) <= MOST_INDENTED, indented


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_a_file_can_be_read_at_a_sitting(file):
    assert len(file.read_text().splitlines()) <= MOST_LINES


def test_the_loop_is_short():
    assert len((PACKAGE / "training/trainer.py").read_text().splitlines()) <= 150
