"""Image files without their metadata, for those whose metadata keep sound pixels from being read.

References:
    Portable Network Graphics, third edition (W3C, 2025) https://www.w3.org/TR/png-3/ (chunks)
    ITU-T T.81: JPEG, annex B (1992) https://www.w3.org/Graphics/JPEG/itu-t81.pdf (marker segments)
    TIFF, revision 6.0 (Adobe, 1992) https://www.itu.int/itudoc/itu-t/com16/tiff-fx/docs/tiff6.pdf (directories of tags)
"""

import zlib
from collections.abc import Iterator
from typing import Literal

_PNG, _JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8"
_TIFF: dict[bytes, Literal["little", "big"]] = {b"II*\0": "little", b"MM\0*": "big"}

_PNG_HINTS = ((b"tRNS", b"eXIf"), (b"tRNS",), ())
"""Chunks that may stay besides those of the pixels: transparency and orientation, as long as they can be read."""

_JPEG_HINTS = ((0xE0, 0xE1, 0xEE), (0xE0, 0xEE), ())
"""The same of application segments: JFIF, EXIF, and Adobe's, which names the colour space."""

_TIFF_HINTS = ((274,), ())
"""The same of tags: orientation."""

_TIFF_PIXELS = (
    *range(254, 267),
    273,
    *range(275, 280),
    284,
    292,
    293,
    317,
    *range(320, 326),
    338,
    339,
    347,
    *range(529, 533),
)
"""Tags that say how the pixels are stored."""

_UNKNOWN = ((65000, 2), (1, 2), (1, 4), (0, 4))
"""Tag, type, count and value of a byte without a meaning, and their sizes in a file."""


def without_metadata(content: bytes) -> Iterator[bytes]:
    """Copies of a PNG, JPEG or TIFF file with less and less of its metadata; none of other formats."""
    if content.startswith(_PNG):
        yield from (_png(content, kept) for kept in _PNG_HINTS)
    elif content.startswith(_JPEG):
        yield from (_jpeg(content, kept) for kept in _JPEG_HINTS)
    elif content[:4] in _TIFF:
        yield from (_tiff(content, kept) for kept in _TIFF_HINTS)


def _png(content: bytes, kept: tuple[bytes, ...]) -> bytes:
    """The critical chunks as they are, whatever their checksums, and those in `kept` that are intact."""
    parts, place = [_PNG], len(_PNG)
    while place + 12 <= len(content):
        kind, end = content[place + 4 : place + 8], place + 12 + int.from_bytes(content[place : place + 4], "big")
        critical = not kind[0] & 0x20  # a capital letter
        intact = zlib.crc32(content[place + 4 : end - 4]) == int.from_bytes(content[end - 4 : end], "big")
        if critical or (kind in kept and intact):
            parts.append(content[place:end])
        place = end
    return b"".join(parts)


def _jpeg(content: bytes, kept: tuple[int, ...]) -> bytes:
    """All segments up to the first scan but comments and the application segments that are not in `kept`."""
    parts, place = [_JPEG], len(_JPEG)
    while content[place : place + 1] == b"\xff" and content[place + 1 : place + 2] != b"\xda":
        end = place + 2 + int.from_bytes(content[place + 2 : place + 4], "big")
        marker = content[place + 1]
        if not (0xE0 <= marker <= 0xEF or marker == 0xFE) or marker in kept:
            parts.append(content[place:end])
        if end <= place + 3:
            break
        place = end
    return b"".join([*parts, content[place:]])


def _tiff(content: bytes, kept: tuple[int, ...]) -> bytes:
    """The file with other tags than those of the pixels, and in `kept`, overwritten by an unknown one of one byte."""
    order = _TIFF[content[:4]]
    file = bytearray(content)
    start = int.from_bytes(content[4:8], order)
    count = int.from_bytes(content[start : start + 2], order)
    for place in range(start + 2, min(start + 2 + 12 * count, len(content) - 11), 12):
        tag = int.from_bytes(content[place : place + 2], order)
        if tag not in kept + _TIFF_PIXELS:
            file[place : place + 12] = b"".join(number.to_bytes(size, order) for number, size in _UNKNOWN)
    return bytes(file)
