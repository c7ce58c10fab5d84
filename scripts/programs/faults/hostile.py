"""What a stranger's file, a damaged one or a slip of the finger asks for, and a process that shows what comes of it.

Each case lays out its files below a folder of its own and names a command line. `run` starts that in a forked child
without a network and tells exit code, messages, peak memory, and what has changed on the disk.
"""

import copy
import hashlib
import importlib
import io
import json
import os
import pickle
import resource
import select
import socket
import struct
import sys
import time
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
import torch
from PIL import Image

import genlab
import genlab.comparison.page
import genlab.evaluation.evaluate
from genlab.checkpoints import file as checkpoint
from genlab.cli import main
from genlab.config.build import build_model
from genlab.config.commands import COMMANDS
from genlab.config.compose import compose_job, register
from genlab.contract.data import image_spec
from genlab.data import cache as data_cache
from genlab.system import memory

for command in COMMANDS:  # here, where it costs no case time or memory
    importlib.import_module(f"genlab.commands.{command}")

TIMEOUT = 60.0
"""Seconds that a case may take."""

CPU = ["device=cpu", "device.threads=1"]


@dataclass(frozen=True)
class Case:
    """A request to be refused.

    arguments: writes the case's files below a folder, and gives the command line. says: part of the message.
    code: 2 for a mistake of the request, 1 where it shows only while it is carried out, 0 for what is harmless after
    all. run: the file or folder, below the case's, that `genlab.load` must refuse as well.
    """

    name: str
    arguments: Callable[[Path], list[str]]
    says: str
    code: int = 2
    run: str | None = None


@dataclass
class Outcome:
    """code: of the exit; err, out: what was printed; peak: bytes of memory; loaded: what `genlab.load` said."""

    code: int
    err: str
    out: str
    peak: int
    seconds: float
    loaded: str
    changed: list[str] = field(default_factory=list)


def run(case: Case, folder: Path) -> Outcome:
    """Carry out a case in `folder`, which is empty; beside its files lies "outside", which nothing may touch."""
    (folder / "outside").mkdir(parents=True)
    (folder / "outside/precious").write_text("mine")
    arguments = case.arguments(folder)
    before = _tree(folder)
    outcome = _fork(lambda: _child(case, folder, arguments), folder)
    outcome.changed = sorted(set(_tree(folder).items()) ^ set(before.items()))
    return outcome


def baseline(folder: Path) -> int:
    """Bytes that a harmless command takes in such a child."""
    case = Case("baseline", lambda _: ["train", "model=cyclegan", "dataset=stripes", "--cfg", "job"], "", code=0)
    return run(case, folder).peak


def _child(case: Case, folder: Path, arguments: list[str]) -> None:
    if case.run is not None:
        try:
            genlab.load(folder / case.run)
            print("loaded", flush=True)
        except ValueError as error:
            print(f"ValueError: {error}".replace("\n", " "), flush=True)
        except BaseException as error:
            print(f"{type(error).__name__}: {error}".replace("\n", " "), flush=True)
    main(arguments)


def _no_network(*_) -> None:
    raise OSError("no network")


def _fork(job: Callable[[], None], folder: Path) -> Outcome:
    """`job` in a child whose output goes to unnamed files and whose home, cache and working folder are `folder`."""
    out, err = (os.memfd_create(name) for name in ("out", "err"))
    sys.stdout.flush()
    sys.stderr.flush()
    start = time.monotonic()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.dup2(out, 1)
            os.dup2(err, 2)
            sys.stdout, sys.stderr = os.fdopen(1, "w", closefd=False), os.fdopen(2, "w", closefd=False)
            os.chdir(folder)
            os.environ |= {"HOME": str(folder), "GENLAB_CACHE": str(folder / "cache"), "SECRET": "hunter2"}
            for name in ("GENLAB_DEBUG", "GENLAB_DATA", "RANK", "WORLD_SIZE"):
                os.environ.pop(name, None)
            socket.socket.connect = _no_network
            torch.set_num_threads(1)
            memory.total = lambda: 8 * 2**30  # what is too large is so on every machine
            data_cache.WORTH_SECONDS = TIMEOUT  # and nothing takes so long that it is kept
            job()
            code = 0
        except SystemExit as stopped:
            code = stopped.code or 0
        except BaseException:
            import traceback

            traceback.print_exc()
            code = 99
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    status, usage = _wait(child)
    texts = []
    for file in (out, err):
        with os.fdopen(file, "rb") as stream:
            stream.seek(0)
            texts.append(stream.read().decode(errors="replace"))
    loaded = texts[0].partition("\n")[0]
    return Outcome(
        os.waitstatus_to_exitcode(status), texts[1], texts[0], usage.ru_maxrss * 1024, time.monotonic() - start, loaded
    )


def _wait(child: int) -> tuple[int, resource.struct_rusage]:
    """Status and use of resources of the child, which is killed when its time is over."""
    handle = os.pidfd_open(child)
    try:
        if not select.select([handle], [], [], TIMEOUT)[0]:
            os.kill(child, 9)
    finally:
        os.close(handle)
    return os.wait4(child, 0)[1:]


def _tree(folder: Path) -> dict[str, tuple]:
    """Kind, size and time of change of everything below `folder`; links are not followed."""
    found = {}
    for place, folders, files in os.walk(folder):
        for name in (*folders, *files):
            status = os.lstat(os.path.join(place, name))
            stamp = 0 if name in folders else status.st_mtime_ns  # a result that is given up stirs its folder
            found[os.path.relpath(os.path.join(place, name), folder)] = (status.st_mode, stamp)
    return found


# Runs


class Evil:
    """Leaves a trace where it is unpickled."""

    def __init__(self, place: Path):
        self.place = place

    def __reduce__(self):
        return os.mkdir, (str(self.place),)


@cache
def _state(*overrides: str) -> dict:
    """What the checkpoint of a tiny run holds."""
    register()
    config = compose_job([*CPU, "network.hidden=[8]", "model.latent_dim=2", "dataset.size=8", *overrides]).config
    data = image_spec((1, 8, 8), 10)
    weights = build_model(config, data).state_dict()
    return {"config": config.to_dict(), "data": data.to_dict(), "step": 3, "model": dict(weights), "ema": {}}


def save(folder: Path, change: Callable[[dict], object] = lambda state: None) -> str:
    """A run folder, below the case's, whose checkpoint holds what `change` makes of a sound one."""
    state = copy.deepcopy(_state())
    change(state)
    (folder / "run/checkpoints").mkdir(parents=True)
    checkpoint.save(state, folder / "run/checkpoints/last.safetensors")
    return "run=run"


def raw(folder: Path, content: bytes) -> str:
    """A run folder whose checkpoint is `content`."""
    (folder / "run/checkpoints").mkdir(parents=True)
    (folder / "run/checkpoints/last.safetensors").write_bytes(content)
    return "run=run"


def forged(tensors: dict[str, tuple[list[int], list[int]]], data: bytes = b"", **texts: str) -> bytes:
    """A safetensors file with a right checksum, of float tensors with these shapes and places in `data`, and texts."""
    entries = {name: {"dtype": "F32", "shape": shape, "data_offsets": span} for name, (shape, span) in tensors.items()}
    about = {"format": str(checkpoint.FORMAT), **texts, "sha256": "0" * 64}
    header = json.dumps({"__metadata__": about, **entries}, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    content = len(header).to_bytes(8, "little") + header + data
    return content.replace(b"0" * 64, hashlib.sha256(content).hexdigest().encode(), 1)


def torch_file(folder: Path, **settings) -> bytes:
    """A file of torch.save's, as earlier versions wrote checkpoints, that would run code."""
    content = io.BytesIO()
    torch.save({"format": 3, "config": Evil(folder / "outside/canary")}, content, **settings)
    return content.getvalue()


def of_run(name: str, says: str, change: Callable[[dict], object], command: str = "sample") -> Case:
    """A run of a stranger's whose checkpoint is not what GenLab writes."""
    return Case(f"run: {name}", lambda folder: [command, save(folder, change), *CPU], says, run="run")


def of_file(name: str, says: str, content: Callable[[Path], bytes]) -> Case:
    """A checkpoint that is not what GenLab writes."""
    return Case(f"checkpoint: {name}", lambda folder: ["sample", raw(folder, content(folder)), *CPU], says, run="run")


# Images and arrays


def png(width: int, height: int, rows: int | None = None) -> bytes:
    """A grey PNG of zeros that claims width x height and holds `rows` of these (all)."""
    pack, data = zlib.compressobj(9), []
    line = bytes(width + 1) if rows != 0 else b""
    for _ in range(height if rows is None else rows):
        data.append(pack.compress(line))

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", b"".join(data) + pack.flush()) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def encoded(kind: str, size: int = 32, **settings) -> bytes:
    content = io.BytesIO()
    Image.new("L", (size, size)).save(content, kind, **settings)
    return content.getvalue()


def tiff(width: int, height: int) -> bytes:
    """A TIFF of a few bytes that claims width x height."""
    entries = [(256, width), (257, height), (258, 8), (259, 1), (262, 1), (273, 8), (277, 1), (278, height), (279, 8)]
    table = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries)
    return b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", len(entries)) + table + struct.pack("<I", 0)


def gif(side: int) -> bytes:
    head = b"GIF89a" + struct.pack("<HHBBB", side, side, 0x80, 0, 0) + bytes(6)
    return head + b"," + struct.pack("<HHHHB", 0, 0, side, side, 0) + b"\x02\x02\x4c\x01\x00;"


def images(folder: Path, name: str, content: bytes, good: int = 6) -> Path:
    """A folder of images, one of which is `content`."""
    place = folder / "images"
    place.mkdir()
    for number in range(good):
        Image.new("RGB", (8, 8), (number, 0, 0)).save(place / f"good{number}.png")
    (place / name).write_bytes(content)
    return place


IMAGES = ["dataset=image-folder", "dataset.path=images", "dataset.size=8", "dataset.validation_fraction=0.2"]
SHORT = [*CPU, "trainer.max_steps=2", "trainer.batch_size=2", "network.hidden=[8]", "logger.tensorboard=false"]


def of_image(name: str, file: str, content: Callable[[], bytes], says: str) -> Case:
    def arguments(folder: Path) -> list[str]:
        images(folder, file, content())
        return ["train", *IMAGES, *SHORT]

    return Case(f"image: {name}", arguments, says)


def npy(shape: str, data: bytes, descr: str = "'|u1'") -> bytes:
    """An array file whose header claims `shape`, whatever `data` there is."""
    header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + data


def npz(folder: Path, **members: bytes) -> None:
    with zipfile.ZipFile(folder / "data.npz", "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(f"{name}.npy", content)


def of_arrays(name: str, says: str, write: Callable[[Path], object], *settings: str) -> Case:
    def arguments(folder: Path) -> list[str]:
        write(folder)
        return ["train", "dataset=npz", "dataset.path=data.npz", *SHORT, *settings]

    return Case(f"npz: {name}", arguments, says)


def bomb(shape: str, claimed: int) -> Callable[[Path], None]:
    """Writes an array of `shape` that has `claimed` bytes, if one believes what the archive says."""

    def write(folder: Path) -> None:
        with zipfile.ZipFile(folder / "data.npz", "w", zipfile.ZIP_DEFLATED) as file:
            file.writestr("images.npy", npy(shape, bytes(2**20)))
            file.filelist[0].file_size = claimed + 128

    return write


def pickled(place: Path) -> np.ndarray:
    array = np.empty(3, object)
    array[:] = [Evil(place)] * 3
    return array


def cifar(folder: Path) -> list[str]:
    place = folder / "data/cifar-10-batches-py"
    place.mkdir(parents=True)
    for name in (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch", "batches.meta"):
        (place / name).write_bytes(pickle.dumps({"data": Evil(folder / "outside/canary"), "labels": []}))
    return ["train", "dataset=cifar10", "data_dir=data", *SHORT]


def idx(folder: Path, sides: tuple[int, ...]) -> list[str]:
    place = folder / "data/MNIST/raw"
    place.mkdir(parents=True)
    for part in ("train", "t10k"):
        (place / f"{part}-images-idx3-ubyte").write_bytes(
            bytes([0, 0, 8, len(sides)]) + np.array(sides, ">i4").tobytes()
        )
        (place / f"{part}-labels-idx1-ubyte").write_bytes(
            bytes([0, 0, 8, 1]) + np.array([10], ">i4").tobytes() + bytes(10)
        )
    return ["train", "dataset=mnist", "data_dir=data", *SHORT]


def circle(folder: Path) -> list[str]:
    place = images(folder, "x.png", png(8, 8))
    for name in ("a", "b", "c"):
        (place / name).symlink_to(place)
    return ["train", *IMAGES, *SHORT]


def pipe(folder: Path) -> list[str]:
    os.mkfifo(images(folder, "x.png", png(8, 8)) / "pipe.png")
    return ["train", *IMAGES, *SHORT]


def linked(folder: Path, name: str, target: str) -> str:
    run = save(folder)
    (folder / "run" / name).symlink_to(folder / target)
    return run


def unfetched(folder: Path) -> list[str]:
    """A run whose data is not there, and was not there where the run says that it lies."""
    node = {"_target_": "genlab.data.torchvision_sets.Mnist", "size": 8, "data_dir": str(folder / "outside")}
    (folder / "data").mkdir()
    return ["reconstruct", save(folder, _set("config", "dataset", value=node)), *CPU]


def with_file(name: str, content: bytes, *arguments: str) -> Callable[[Path], list[str]]:
    def write(folder: Path) -> list[str]:
        (folder / name).write_bytes(content)
        return [*arguments, save(folder), *CPU]

    return write


def train(name: str, says: str, *settings: str) -> Case:
    return Case(f"train: {name}", lambda _: ["train", *CPU, *settings], says)


def use(name: str, says: str, command: str, *settings: str, code: int = 2) -> Case:
    return Case(f"use: {name}", lambda folder: [command, save(folder), *CPU, *settings], says, code)


def _set(*path: str, value: object) -> Callable[[dict], None]:
    """A change of the state: the entry at `path` becomes `value`."""

    def change(state: dict) -> None:
        for part in path[:-1]:
            state = state[part]
        state[path[-1]] = value

    return change


def _without(*path: str) -> Callable[[dict], None]:
    def change(state: dict) -> None:
        for part in path[:-1]:
            state = state[part]
        del state[path[-1]]

    return change


TRILLION = 10**12

CASES = [
    train("code of the system", "outside the trusted packages", "model._target_=os.system"),
    train("code of Python", "outside the trusted packages", "model._target_=builtins.eval"),
    # numbers without bound
    train("batch", "larger than the dataset", f"trainer.batch_size={TRILLION}"),
    train("latents", "model: its weights need", f"model.latent_dim={10**9}"),
    train("latents beyond counting", "model.latent_dim", f"model.latent_dim={10**30}"),
    train("weights beyond counting", "model: cannot be built", f"network.hidden=[{TRILLION},{TRILLION}]"),
    train("layers", "hidden: 1001 layers", f"network.hidden={[8] * 1001}".replace(" ", "")),
    train("blocks", "blocks=1000000000", "model=cyclegan", f"network.blocks={10**9}"),
    train("pool", "model: ", "model=cyclegan", f"model.pool_size={TRILLION}"),
    train("pixels", "image of 1x1000000x1000000", "dataset.size=1000000"),
    train("table", "1797 images of 1x8000x8000", "dataset.size=8000"),
    Case(
        "train: photographs",
        lambda folder: [
            "train",
            *SHORT,
            *IMAGES[:1],
            f"dataset.path={images(folder, 'x.png', b'')}",
            "dataset.size=100000",
        ],
        "image of 3x100000x100000",
    ),
    train("shapes", "num_images=1000000000000", "dataset=shapes", f"dataset.num_images={TRILLION}"),
    train("factors", "num_scales=1000000000", "dataset=shapes", f"dataset.num_scales={10**9}"),
    train("grid", "images of 32x32 from a grid", "dataset=shapes", "dataset.num_positions=10000"),
    train("shapes' pixels", "image of 1x1000000x1000000", "dataset=shapes", "dataset.size=1000000"),
    train("stripes", "1000000000200 images", "model=cyclegan", f"dataset.num_train={TRILLION}"),
    train("shapes in an image", "max_shapes=1000000000", "model=cyclegan", f"dataset.max_shapes={10**9}"),
    train("stripes' pixels", "image of 3x1000000000x1000000000", "model=cyclegan", f"dataset.size={10**9}"),
    train("processes", "must be at most 1024", f"device.processes={10**6}", f"trainer.batch_size={10**6}"),
    train("workers", "loader.workers=1000000000: must be at most 1024", f"loader.workers={10**9}"),
    train("threads", "device.threads=1000000000: must be at most 1024", "device.threads=1000000000"),
    use("samples", "num_samples=1000000000000: must be at most", "sample", f"num_samples={TRILLION}"),
    use("steps", "steps=1000000000000: must be at most", "interpolate", f"steps={TRILLION}"),
    use("draws", "importance_samples=1000000000000: must be", "evaluate", f"importance_samples={TRILLION}"),
    use("label", "condition.label=3", "sample", "label=3"),
    # folders and images
    train("no folder", "no such folder", *IMAGES),
    Case(
        "image: none",
        lambda folder: (folder / "images").mkdir() or ["train", *IMAGES, *SHORT],
        "no images in images",
    ),
    Case("image: links in circles", circle, "folders deep"),
    Case("image: a pipe", pipe, "pipe.png cannot be read as an image (it is no file)"),
    of_image("damaged", "x.png", lambda: png(8, 8)[:45], "x.png cannot be read as an image"),
    of_image("text", "x.png", lambda: b"hello", "x.png cannot be read as an image"),
    of_image("empty", "x.png", lambda: b"", "x.png cannot be read as an image"),
    of_image("program", "x.png", lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "x.png cannot be read"),
    of_image("header of 10^12 pixels", "x.png", lambda: png(10**6, 10**6, 0), "x.png cannot be read as an image"),
    of_image("bomb", "x.png", lambda: png(12000, 12000), "it has 12000x12000 pixels"),
    of_image("bomb in bounds", "x.png", lambda: png(9000, 9000), "it has 9000x9000 pixels"),
    of_image("cut jpeg", "x.jpg", lambda: encoded("JPEG", 512)[:700], "x.jpg cannot be read as an image"),
    of_image("tiff", "x.tif", lambda: tiff(30000, 5000), "x.tif cannot be read as an image"),
    of_image("gif", "x.gif", lambda: gif(65535), "x.gif cannot be read as an image"),
    # arrays
    train("no file", "no such file", "dataset=npz", "dataset.path=data.npz"),
    of_arrays("text", "is not a sound .npz file", lambda folder: (folder / "data.npz").write_text("hello")),
    of_arrays(
        "objects",
        "images: object[3] cannot be images",
        lambda folder: np.savez(folder / "data.npz", images=pickled(folder / "outside/canary")),
    ),
    of_arrays(
        "labels are objects",
        "cannot be the labels",
        lambda folder: np.savez(
            folder / "data.npz", images=np.zeros((3, 8, 8), np.uint8), labels=pickled(folder / "outside/canary")
        ),
        "dataset.labels_key=labels",
    ),
    of_arrays(
        "labels are floats",
        "holds 0.5, which is no class",
        lambda folder: np.savez(folder / "data.npz", images=np.zeros((9, 8, 8), np.uint8), labels=np.full(9, 0.5)),
        "dataset.labels_key=labels",
    ),
    of_arrays(
        "a pickle",
        "is not a sound .npz file",
        lambda folder: (folder / "data.npz").write_bytes(pickle.dumps(Evil(folder / "outside/canary"))),
    ),
    of_arrays(
        "header lies", "but holds 16 bytes", lambda folder: npz(folder, images=npy("(1000000, 1000, 1000)", bytes(16)))
    ),
    of_arrays(
        "negative sides", "images.npy claims to be", lambda folder: npz(folder, images=npy("(-3, -8, 8)", bytes(192)))
    ),
    of_arrays(
        "labels lie",
        "labels.npy claims to be",
        lambda folder: npz(folder, images=npy("(9, 8, 8)", bytes(576)), labels=npy("(1000000000000,)", bytes(9))),
    ),
    of_arrays("bomb", "GiB, this machine has", bomb("(1000000, 1000, 1000)", 10**12)),
    of_arrays("bomb that would fit", "data.npz: its array images is damaged", bomb("(1000000, 32, 32)", 1024 * 10**6)),
    of_arrays("pixels", "image of 1x10000x10000", bomb("(3, 10000, 10000)", 3 * 10**8)),
    of_arrays(
        "negative shape",
        "image of 1x-8x-8",
        lambda folder: npz(folder, images=npy("(9, 64)", bytes(576))),
        "dataset.image_shape=[-8,-8]",
    ),
    # published sets
    Case("set: pickles", cifar, "images of CIFAR10 are damaged"),
    Case(
        "set: header of 10^18 pixels", lambda folder: idx(folder, (10**6, 10**6, 10**6)), "images of MNIST are damaged"
    ),
    Case("set: negative sides", lambda folder: idx(folder, (-1, -28, 28)), "images of MNIST are damaged"),
    Case(
        "set: no network",
        lambda folder: (folder / "data").mkdir() or ["train", "dataset=mnist", "data_dir=data", *SHORT],
        "MNIST cannot be downloaded",
    ),
    # checkpoints that are not plain files
    Case(
        "checkpoint: none",
        lambda folder: (folder / "run").mkdir() or ["sample", "run=run", *CPU],
        "checkpoints/last.safetensors",
        run="run",
    ),
    Case(
        "checkpoint: no weights to start from",
        lambda folder: ["train", *SHORT, f"init_from={save(folder, _set('model', value=[1, 2]))[4:]}"],
        "init_from: model: must hold weights by name",
    ),
    Case("checkpoint: none to start from", lambda folder: ["train", *SHORT, "init_from=run"], "init_from: run"),
    of_file("empty", "not a readable checkpoint", lambda _: b""),
    of_file("text", "not a readable checkpoint", lambda _: b"hello"),
    of_file("pickle", "not a readable checkpoint", lambda folder: pickle.dumps(Evil(folder / "outside/canary"))),
    of_file("code in a torch file", "written by an earlier version", torch_file),
    of_file(
        "code in an old torch file",
        "not a readable checkpoint",
        lambda folder: torch_file(folder, _use_new_zipfile_serialization=False),
    ),
    of_file("header beyond the file", "not a readable checkpoint", lambda _: bytes([255] * 8) + b"{}"),
    of_file("header without checksum", "holds no checksum", lambda _: b"\2" + bytes(7) + b"{}"),
    of_file("tensor of 100 GB", "not a readable checkpoint", lambda _: forged({"w": ([25 * 10**9], [0, 10**11])})),
    of_file("tensor beyond counting", "not a readable checkpoint", lambda _: forged({"w": ([2**62, 8], [0, 16])})),
    of_file(
        "tensor larger than its bytes",
        "not a readable checkpoint",
        lambda _: forged({"w": ([10**6], [0, 4])}, bytes(4)),
    ),
    of_file(
        "tensors that overlap",
        "not a readable checkpoint",
        lambda _: forged({"v": ([2], [0, 8]), "w": ([2], [4, 12])}, bytes(12)),
    ),
    of_file("bytes of no tensor", "not a readable checkpoint", lambda _: forged({}, bytes(2**20))),
    of_file(
        "a tensor in place of a text",
        "not a readable checkpoint",
        lambda _: forged({"step/w": ([0], [0, 0])}, step="3"),
    ),
    of_file("a name of many groups", "holds no config", lambda _: forged({"w/" * 10**6: ([0], [0, 0])})),
    of_file("depth", "not a readable checkpoint", lambda _: forged({}, config="[" * 10**6)),
    of_run("depth", "levels deep", _set("config", "network", "hidden", value=json.loads("[" * 900 + "]" * 900))),
    of_file("many values", "not a readable checkpoint", lambda _: forged({}, config=f"[{'[],' * 3 * 10**6}[]]")),
    # configs of strangers
    of_run(
        "code of the system", "os.system: outside the trusted", _set("config", "model", "_target_", value="os.system")
    ),
    of_run("code of Python", "outside the trusted", _set("config", "dataset", "_target_", value="builtins.eval")),
    of_run(
        "environment",
        "config.output_dir=${oc.env:SECRET}: must be resolved",
        _set("config", "output_dir", value="${oc.env:SECRET}"),
    ),
    of_run(
        "names that are paths", "config.choices.model='../../x'", _set("config", "choices", "model", value="../../x")
    ),
    of_run(
        "name that is absolute", "config.choices.dataset='/etc'", _set("config", "choices", "dataset", value="/etc")
    ),
    of_run("another choice", "config.choices.x: no such key", _set("config", "choices", "x", value="y")),
    of_run("text for a config", "config: must be a group", _set("config", value="hello")),
    of_run("no trainer", "config.trainer: is missing", _without("config", "trainer")),
    of_run("text for a trainer", "config.trainer='hello': must be a group", _set("config", "trainer", value="hello")),
    of_run("text for a number", "config.trainer.batch_size='8'", _set("config", "trainer", "batch_size", value="8")),
    of_run("unknown key", "config.payload: no such key", _set("config", "payload", value=1)),
    of_run("text for a model", "config.model='hello'", _set("config", "model", value="hello")),
    of_run("many values", "hidden: 100000 layers", _set("config", "network", "hidden", value=[8] * 10**5)),
    of_run("layers", "hidden: 1001 layers", _set("config", "network", "hidden", value=[8] * 1001)),
    of_run("latents", "its weights need", _set("config", "model", "latent_dim", value=10**9)),
    of_run("more latents than weights", "its weights do not fit", _set("config", "model", "latent_dim", value=10**6)),
    of_run("workers", "must be at most 1024", _set("config", "loader", "workers", value=10**9)),
    of_run("pixels", "image of 1x1000000x1000000", _set("data", "fields", "x", "shape", value=[1, 10**6, 10**6])),
    of_run("no shape", "data.fields.x.shape=", _set("data", "fields", "x", "shape", value=["a", "b"])),
    of_run("classes", "data.fields.label: label: size", _set("data", "fields", "label", "size", value=TRILLION)),
    of_run("domains", "data.fields", _set("data", "fields", "../x", value={})),
    of_run("step", "step=-1", _set("step", value=-1)),
    of_run("step that is a path", "step=../../x", _set("step", value="../../x")),
    of_run("weights that are none", "model: must hold weights", _set("model", value=[1, 2])),
    of_run("averages that are none", "ema: must hold weights", _set("ema", value=7)),
    of_run(
        "weight that is none",
        "model: must hold weights",
        lambda state: state["model"].update({next(iter(state["model"])): "hello"}),
    ),
    # places of strangers
    Case(
        "place: results lead outside",
        lambda folder: ["sample", linked(folder, "samples", "outside"), *CPU],
        "leads out of the run's folder",
    ),
    Case(
        "place: evaluation leads outside",
        lambda folder: ["evaluate", linked(folder, "evaluation.json", "outside/precious"), *CPU],
        "leads out of the run's folder",
    ),
    Case(
        "place: unfinished evaluation leads outside",
        lambda folder: ["evaluate", linked(folder, ".evaluation.json.tmp", "outside/precious"), *CPU],
        "leads out of the run's folder",
    ),
    Case(
        "place: recorded folders are elsewhere",
        lambda folder: [
            "sample",
            save(
                folder,
                lambda state: state["config"].update(
                    output_dir=str(folder / "outside"), data_dir=str(folder / "outside")
                ),
            ),
            *CPU,
            "num_samples=2",
        ],
        "",
        code=0,
    ),
    Case("place: data is fetched to where the user says", unfetched, f"{Path('data/MNIST/raw')}/train-images"),
    # what commands are given beside a run
    Case(
        "use: image bomb",
        with_file("x.png", png(9000, 9000), "reconstruct", "input=x.png"),
        "it has 9000x9000 pixels",
    ),
    Case("use: text for an image", with_file("x.png", b"hello", "encode", "input=x.png"), "x.png cannot be read"),
    Case("use: text for arrays", with_file("x.npz", b"hello", "score", "input=x.npz"), "not a sound .npz file"),
    use("nothing to score against", "against=nowhere: neither a folder", "score", "against=nowhere"),
    use("other shape", "holds image of 1x16x16", "reconstruct", "dataset=digits"),
    Case("use: no runs to compare", lambda _: ["compare", "runs=outside"], "outside"),
    Case("use: no folder to compare", lambda _: ["compare", "runs=nowhere"], "runs=nowhere: no such folder"),
]
