"""Reading untrusted checkpoint files as plain data: the file is validated before torch loads it.

A file is a zip archive of storages and one pickle, which is a program for a small stack machine. `torch.load` with
`weights_only=True` runs no arbitrary code, but trusts the sizes of archive members, storages and tensors.
"""

import pickletools
import re
import struct
import zipfile
from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

import torch

_ITEM_SIZES = {"Double": 8, "Float": 4, "Half": 2, "BFloat16": 2, "Long": 8, "Int": 4, "Short": 2, "Char": 1, "Byte": 1}
_ITEM_SIZES = {f"torch {name}Storage": size for name, size in {**_ITEM_SIZES, "Bool": 1}.items()}
_TENSOR, _PARAMETER = "torch._utils _rebuild_tensor_v2", "torch._utils _rebuild_parameter"
_NAMES = {"collections OrderedDict", "torch Size", _TENSOR, _PARAMETER, *_ITEM_SIZES}
_OPERATIONS = re.compile(
    "PROTO|STOP|MARK|GLOBAL|REDUCE|BUILD|APPENDS?|SETITEMS?|TUPLE[123]?|EMPTY_(TUPLE|LIST|DICT)|NONE|NEW(TRUE|FALSE)|"
    "BININT[12]?|LONG1|BINFLOAT|BINUNICODE|BINPERSID|(LONG_)?BIN(GET|PUT)"
)
_MAX_PICKLE_BYTES = 2**25
_END = struct.Struct("<4s4HIIH")
_LARGE_LOCATOR = struct.Struct("<4sIQI")
_LARGE_END = struct.Struct("<4sQ2H2I4Q")
_TOO_LARGE = 2**32 - 1
"""Records of the zip format (APPNOTE 4.3.14 to 4.3.16): end of the central directory, in 32 and in 64 bits."""
_MAX_NODES, _MAX_DEPTH = 1_000_000, 50
_MAX_TUPLE_WEIGHT = 1_000
"""Limit of constants in a tuple, nested ones included: shared tuples grow exponentially, and hashing visits all."""


def read(path: Path, device: str | torch.device = "cpu") -> Any:
    """Load what `torch.save` wrote to `path`, with tensors on `device`.

    `ValueError` with the reason, without the path, if it is more than plain data or claims more than the file holds.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            _check_pickle(*_members(archive, path.stat().st_size))
        content = torch.load(path, map_location=device, weights_only=True)
    except ValueError:
        raise
    except Exception as error:  # torch and zipfile raise anything on damaged files
        raise ValueError(" ".join(str(error).split())[:200] or type(error).__name__) from error
    _check_nodes(content)
    return content


def _members(archive: zipfile.ZipFile, size: int) -> tuple[bytes, dict[str, int]]:
    """The pickle, and the size in bytes of each storage by its key."""
    members = archive.infolist()
    _check_directory(archive.fp, len(archive.comment), size)
    if len({member.filename.casefold() for member in members}) < len(members):
        raise ValueError("two of its parts have the same name")
    if any(member.compress_type != zipfile.ZIP_STORED for member in members):
        raise ValueError("it is compressed, which torch.save never does")
    if sum(member.file_size for member in members) > size:
        raise ValueError("its parts claim more bytes than the file has")
    pickles = [member for member in members if member.filename.endswith(".pkl")]
    if len(pickles) != 1 or not pickles[0].filename.endswith("/data.pkl"):
        raise ValueError("it does not hold one data.pkl, as torch.save writes it")
    if pickles[0].file_size > _MAX_PICKLE_BYTES:
        raise ValueError(f"its data.pkl has {pickles[0].file_size} bytes, at most {_MAX_PICKLE_BYTES} are read")
    root = pickles[0].filename.removesuffix("data.pkl") + "data/"
    return archive.read(pickles[0]), {member.filename.removeprefix(root): member.file_size for member in members}


def _check_directory(file: Any, comment_bytes: int, size: int) -> None:
    """The central directory must end right before its end record, so that torch and zipfile read the same one."""
    end = size - comment_bytes - _END.size
    file.seek(end)
    signature, *_, length, offset, comment = _END.unpack(file.read(_END.size))
    file.seek(max(0, end - _LARGE_LOCATOR.size))
    mark, _, place, _ = _LARGE_LOCATOR.unpack(file.read(_LARGE_LOCATOR.size))
    if mark == b"PK\6\7":  # a zip64 record precedes this one, which may repeat its values
        file.seek(place)
        *_, large_length, large_offset = _LARGE_END.unpack(file.read(_LARGE_END.size))
        repeated = length in (large_length, _TOO_LARGE) and offset in (large_offset, _TOO_LARGE)
        end, length, offset = place if repeated else -1, large_length, large_offset
    if signature != b"PK\5\6" or comment != comment_bytes or offset + length != end:
        raise ValueError("its list of parts is not where it should be")


class _Item(NamedTuple):
    """An entry of the machine's stack: a constant, a name, a storage or a tuple of these; None for anything else."""

    value: Any = None
    weight: int = 1


class _Storage(NamedTuple):
    numel: int


_MARK = _Item("mark")


def _check_pickle(program: bytes, storages: dict[str, int]) -> None:
    """Simulate the pickle without building objects: `ValueError` at the first operation that torch must not execute."""
    stack: list[_Item] = []
    memo: dict[int, _Item] = {}
    argument: Any
    for count, (operation, argument, _) in enumerate(pickletools.genops(program)):
        name = operation.name
        if not _OPERATIONS.fullmatch(name) or (name == "GLOBAL" and argument not in _NAMES):
            raise ValueError(f"it asks for {argument if name == 'GLOBAL' else name}, which is not plain data")
        if count > _MAX_NODES:
            raise ValueError(f"its data.pkl has more than {_MAX_NODES} steps")
        if name == "MARK":
            stack.append(_MARK)
        elif name.endswith("GET"):
            stack.append(memo[argument])
        elif name.endswith("PUT"):
            memo[argument] = stack[-1]
        else:
            items = _take(stack, [kind.name for kind in operation.stack_before])
            if operation.stack_after:
                stack.append(_result(name, argument, items, storages))


def _take(stack: list[_Item], kinds: list[str]) -> list[_Item]:
    """Pop an operation's arguments; if it takes a mark, everything down to the last one."""
    items: list[_Item] = []
    if "mark" in kinds:
        while (item := stack.pop()) is not _MARK:
            items.append(item)
        kinds = kinds[: kinds.index("mark")]
    return [stack.pop() for _ in kinds][::-1] + items[::-1]


def _result(name: str, argument: Any, items: list[_Item], storages: dict[str, int]) -> _Item:
    if "TUPLE" in name:
        weight = 1 + sum(item.weight for item in items)
        if weight > _MAX_TUPLE_WEIGHT:
            raise ValueError("its tuples are nested too deeply")
        return _Item(tuple(item.value for item in items), weight)
    if name == "BINPERSID":
        return _Item(_storage(items[0].value, storages))
    if name == "REDUCE":
        if items[0].value == _TENSOR:
            _check_tensor(*items[1].value[:4])
        elif items[0].value not in (_PARAMETER, "collections OrderedDict", "torch Size"):
            raise ValueError("it calls something that is not a function")
        return _Item()
    return _Item(argument)


def _storage(identity: tuple, storages: dict[str, int]) -> _Storage:
    _, kind, key, _, numel = identity
    if numel * _ITEM_SIZES[kind] != storages.get(key):
        raise ValueError(f"its storage {key} claims {numel} numbers, which the file does not hold")
    return _Storage(numel)


def _check_tensor(storage: _Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...]) -> None:
    """A tensor must lie within its storage and have no more elements: stride 0 can turn a few bytes into terabytes."""
    reach = offset + sum((side - 1) * stride for side, stride in zip(shape, strides, strict=True)) if prod(shape) else 0
    if min((offset, *shape, *strides)) < 0 or prod(shape) > storage.numel or reach >= max(storage.numel, 1):
        raise ValueError(f"it holds a tensor of shape {list(shape)} in {storage.numel} numbers")


def _check_nodes(content: Any) -> None:
    """Lists and dicts may contain each other repeatedly: refuse values that cannot be traversed in bounded time."""
    level: Iterator[Any] | list[Any] = [content]
    count = 0
    for _ in range(_MAX_DEPTH):
        inner = []
        for node in level:
            inner += [*node.keys(), *node.values()] if isinstance(node, dict) else []
            inner += node if isinstance(node, (list, tuple)) else []
            if count + len(inner) > _MAX_NODES:
                raise ValueError(f"it holds more than {_MAX_NODES} values")
        count, level = count + len(inner), inner
        if not level:
            return
    raise ValueError(f"its values are nested more than {_MAX_DEPTH} levels deep")
