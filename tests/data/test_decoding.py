"""Pixels count: whatever the metadata of a file hold, sound pixels are read, and nothing is written to the screen."""

import struct
import zlib
from contextlib import nullcontext
from io import BytesIO

import pytest
from PIL import Image

from genlab.data.decoding import UnreadableError, decode, prepare_pillow

SIDE = 40
WHITE_ABOVE = Image.new("RGB", (SIDE, SIDE))
WHITE_ABOVE.paste((255, 255, 255), (0, 0, SIDE, SIDE // 2))

ORIENTATION = (0x0112, 3, 1, struct.pack("<HH", 6, 0))  # to be turned a quarter clockwise
RATIONAL = (0x011A, 10, 1, struct.pack("<I", 8))  # a resolution that cannot be written again


@pytest.fixture(autouse=True)
def quiet():
    """pytest forgets filters of warnings after each test."""
    prepare_pillow.cache_clear()


def exif(*entries):
    table = b"".join(struct.pack("<HHI", *entry[:3]) + entry[3] for entry in entries)
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(entries)) + table + bytes(4)


def png(*chunks, mode="RGB", sound=True):
    file = BytesIO()
    (WHITE_ABOVE.quantize(4) if mode == "P" else WHITE_ABOVE.convert(mode)).save(file, "PNG")
    content = file.getvalue()
    place = content.index(b"IDAT") - 4
    inserted = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data) if sound else 0)
        for kind, data in chunks
    )
    return content[:place] + inserted + content[place:]


def jpeg(marker, data):
    file = BytesIO()
    WHITE_ABOVE.save(file, "JPEG", quality=95)
    segment = bytes([0xFF, marker]) + struct.pack(">H", len(data) + 2) + data
    return file.getvalue()[:2] + segment + file.getvalue()[2:]


def tiff(*entries):
    pixels = WHITE_ABOVE.tobytes()
    own = {256: SIDE, 257: SIDE, 258: 8, 259: 1, 262: 2, 273: 8, 277: 3, 278: SIDE, 279: len(pixels)}
    table = sorted([*entries, *((tag, 4, 1, struct.pack("<I", value)) for tag, value in own.items())])
    return struct.pack("<2sHI", b"II", 42, 8 + len(pixels)) + pixels + exif(*table)[8:]


BROKEN = {
    "eXIf without a table.png": png((b"eXIf", b"\0\x08\0\2\1\x12\0\3")),
    "eXIf with a wrong checksum.png": png((b"eXIf", exif(ORIENTATION)), sound=False),
    "empty iCCP.png": png((b"iCCP", b"")),
    "unknown compression of iCCP.png": png((b"iCCP", b"x\0\7garbage")),
    "short tRNS.png": png((b"tRNS", b"\0"), mode="L"),
    "tRNS with a wrong checksum.png": png((b"tRNS", b"\0"), mode="P", sound=False),
    "short gAMA.png": png((b"gAMA", b"\0")),
    "XMP that is no text.png": png((b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0\xff\xfe")),
    "EXIF that is none.jpg": jpeg(0xE1, b"Exif\0\0garbage!"),
    "EXIF cut short.jpg": jpeg(0xE1, b"Exif\0\0" + exif(ORIENTATION)[:12]),
    "orientation 77.jpg": jpeg(0xE1, b"Exif\0\0" + exif((0x0112, 3, 1, struct.pack("<HH", 77, 0)))),
    "short JFIF.jpg": jpeg(0xE0, b"JFIF"),
    "short Adobe.jpg": jpeg(0xEE, b"Adobe"),
    "MPF without a table.jpg": jpeg(0xE2, b"MPF\0II*\0\x08\0\0\0\xff"),
    "EXIF table out of the file.tif": tiff((0x8769, 4, 1, struct.pack("<I", 2**31))),
    "profile out of the file.tif": tiff((0x8773, 7, 2**20, struct.pack("<I", 2**31))),
}

TURNED = {
    "beside a broken entry.jpg": jpeg(0xE1, b"Exif\0\0" + exif(ORIENTATION, RATIONAL)),
    "beside a broken chunk.png": png((b"eXIf", exif(ORIENTATION)), (b"iCCP", b"")),
    "beside a broken entry.tif": tiff(ORIENTATION, RATIONAL),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_metadata_refuse_no_image(tmp_path, name):
    (tmp_path / name).write_bytes(BROKEN[name])
    pixels = decode(str(tmp_path / name), (1, SIDE, SIDE))
    assert pixels[0, :18].min() > 245 and pixels[0, 22:].max() < 10


@pytest.mark.parametrize("name", TURNED)
def test_the_orientation_is_found_where_it_can_be(tmp_path, name):
    (tmp_path / name).write_bytes(TURNED[name])
    pixels = decode(str(tmp_path / name), (1, SIDE, SIDE))
    assert pixels[0, :, 22:].min() > 245 and pixels[0, :, :18].max() < 10


@pytest.mark.parametrize(
    "content", [png()[:-40], jpeg(0xFE, b"")[:-200], png(mode="P").replace(b"PLTE", b"PLTF"), bytes(18)]
)
def test_broken_pixels_are_refused(tmp_path, content):
    (tmp_path / "x.png").write_bytes(content)
    with pytest.raises(UnreadableError, match=r"x\.png cannot be read as an image"):
        decode(str(tmp_path / "x.png"), (3, SIDE, SIDE))


def test_libraries_write_nothing_to_the_screen(tmp_path, capfd, recwarn):
    """Neither Python's warnings, nor libtiff by itself."""
    file = BytesIO()
    WHITE_ABOVE.save(file, "TIFF", compression="tiff_deflate")
    damaged = file.getvalue().replace(b"\x78\x9c", b"\x78\x9d", 1)
    for name, content in {**BROKEN, **TURNED, "damaged.tif": damaged}.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UnreadableError) if name == "damaged.tif" else nullcontext():
            decode(str(tmp_path / name), (1, SIDE, SIDE))
    assert capfd.readouterr() == ("", "") and not recwarn.list
