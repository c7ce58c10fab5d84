"""Files of named tensors with text about them: safetensors files that carry a checksum of their whole content.

The checksum stands in the file's metadata, so every reader of safetensors can read such a file. Nothing in it is
executed, and the library checks what the header claims against the size of the file before it allocates anything.
"""

import hashlib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from genlab.system.files import replacing_path, utf8_name

_CHECKSUM = "sha256"
_BLANK = b"0" * 64
"""What stands in place of the checksum while it is computed."""

_MOST_HEADER_BYTES = 2**24
_BLOCK = 2**20


def write(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str], durable: bool = True) -> None:
    """Write `tensors`, from any device, and `metadata` to `path`, atomically. `OSError` if that fails."""
    with replacing_path(path, durable) as temporary:
        temporary.touch()
        mode = temporary.stat().st_mode
        try:
            save_file(_apart(tensors), temporary, {**metadata, _CHECKSUM: _BLANK.decode()})
        except SafetensorError as error:  # the library has no other kind, and the disk is the only cause
            raise OSError(str(error)) from error
        with suppress(OSError):  # some file systems have no modes
            temporary.chmod(mode)  # the library writes private files
        with temporary.open("rb+") as file:
            header, place = _header(file)
            digest = _digest(file, header)
            file.seek(place)
            file.write(digest)


def read(path: Path, device: str | torch.device = "cpu") -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors on `device` and metadata of a file that `write` wrote. `ValueError` with the reason, without the path, if
    the file is damaged. On a CPU the tensors are copy-on-write maps of the file.
    """
    with path.open("rb") as file:
        header, place = _header(file)
        found = bytes(header[place : place + len(_BLANK)])
        header[place : place + len(_BLANK)] = _BLANK
        if found != _digest(file, header):
            raise ValueError("its bytes do not match their checksum")
        try:
            with safe_open(utf8_name(path, file.fileno()), framework="pt", device=str(device)) as content:
                metadata = {name: text for name, text in content.metadata().items() if name != _CHECKSUM}
                names = content.keys()
                return {name: content.get_tensor(name) for name in names}, metadata
        except (SafetensorError, RuntimeError, AttributeError, TypeError) as error:  # no metadata, absurd shapes
            raise ValueError(str(error)) from error


def _apart(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """`tensors` in row-major layout, none of which shares memory with another: the format has neither."""
    found: dict[str, Tensor] = {}
    taken: set[int] = set()
    for name, value in tensors.items():
        value = value.detach().contiguous()
        storage = value.untyped_storage().data_ptr()
        found[name] = value.clone() if storage in taken else value
        taken.add(storage)
    return found


def _header(file: BinaryIO) -> tuple[bytearray, int]:
    """The first bytes of a file, up to its tensors, and where in them the checksum stands. `ValueError` if nowhere."""
    start = file.read(8)
    length = int.from_bytes(start, "little")
    if len(start) < 8 or length > _MOST_HEADER_BYTES:
        raise ValueError("it does not begin as a safetensors file does")
    header = bytearray(start + file.read(length))
    label = f'"{_CHECKSUM}":"'.encode()
    place = header.find(label) + len(label)
    if place < len(label) or place + len(_BLANK) > len(header) or len(header) < 8 + length:
        raise ValueError("its header holds no checksum")
    return header, place


def _digest(file: BinaryIO, header: bytearray) -> bytes:
    """SHA-256 of `header` and of what follows it in `file`, as hexadecimal text."""
    digest = hashlib.sha256(header)
    while block := file.read(_BLOCK):
        digest.update(block)
    return digest.hexdigest().encode()
