"""The networks of a run as files that need no GenLab: programs of `torch.export`, and ONNX beside them on request.

Each file is one function of the model with only the weights that it reads, for any number of rows. It is read back and
held against the model before it counts as exported.
"""

import copy
import platform
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from genlab.config.options import models_that_can
from genlab.contract.model import GenerativeModel
from genlab.inference.run import Run
from genlab.system.seeding import seeded

CHECKED_ROWS = (1, 3, 17)
"""Batch sizes at which an exported function is held against the model."""

_TRACED_ROWS = 4  # torch.export takes 0 and 1 for constants


class ExportFailed(RuntimeError):
    """A function that cannot be exported, or gives something else behind the export."""


class _Part(nn.Module):
    """One method of a model as a module; the names of its arguments become those of the file's inputs."""

    model: GenerativeModel

    def __init__(self, model: GenerativeModel):
        super().__init__()
        self.model = model


class Decode(_Part):
    """Images x [N, C, H, W] in [0, 1] of latents z."""

    def forward(self, z: Tensor) -> Tensor:
        return self.model.decode(z)


class DecodeLabelled(_Part):
    """Images x [N, C, H, W] in [0, 1] of latents z and labels [N]."""

    def forward(self, z: Tensor, label: Tensor) -> Tensor:
        return self.model.decode(z, label=label)


class Encode(_Part):
    """Latents z of images x [N, C, H, W] in [0, 1]."""

    def forward(self, x: Tensor) -> Tensor:
        return self.model.encode(x)


class Translate(_Part):
    """Images x [N, C, H, W] in [0, 1] carried to a domain."""

    def __init__(self, model: GenerativeModel, domain: str):
        super().__init__(model)
        self.domain = domain

    def forward(self, x: Tensor) -> Tensor:
        return self.model.translate(x, self.domain)


@dataclass
class Function:
    """What can be exported: `module` on the CPU, `inputs(n)` draws arguments by name, `output` names what comes out.

    ranges: smallest and largest value of those of inputs and output that have one.
    """

    name: str
    module: nn.Module
    inputs: Callable[[int], dict[str, Tensor]]
    output: str
    ranges: dict[str, list[int]]


def functions(run: Run) -> list[Function]:
    """Everything of `run` that can be exported. `ValueError` where that is nothing."""
    model = copy.deepcopy(run.model).cpu()

    def images(count: int) -> dict[str, Tensor]:
        return {"x": torch.rand(count, *run.data.shape)}

    def latents(count: int) -> dict[str, Tensor]:
        return {"z": model.prior(count) if run.can("prior") else model.encode(**images(count))}

    def labelled(count: int) -> dict[str, Tensor]:
        return {**latents(count), "label": torch.randint(run.data.num_classes, (count,))}

    ranges = {"x": [0, 1], "y": [0, 1], "label": [0, run.data.num_classes - 1]}
    found = []
    if run.can("decode") and (run.can("prior") or run.can("encode")):
        module, inputs = (DecodeLabelled, labelled) if run.takes_labels else (Decode, latents)
        found.append(Function("decode", module(model), inputs, "x", ranges))
    if run.can("encode"):
        found.append(Function("encode", Encode(model), images, "z", ranges))
    if run.can("translate"):
        for domain in run.data.domains:
            found.append(Function(f"translate_to_{domain}", Translate(model, domain), images, "y", ranges))
    if not found:
        others = sorted({name for word in ("decode", "encode", "translate") for name in models_that_can(word)})
        raise ValueError(
            f"run={run.folder}: model {run.config.choices.model} has nothing to export, neither decode nor encode nor "
            f"translate; models that have: {', '.join(others)}"
        )
    return found


def check_onnx() -> None:
    """`ValueError` where the packages are missing that write ONNX."""
    if any(find_spec(package) is None for package in ("onnx", "onnxscript")):
        raise ValueError("onnx=true needs: pip install 'genlab[onnx]'")


def export(function: Function, folder: Path, onnx: bool = False, tolerance: float = 1e-4, seed: int = 0) -> dict:
    """Write `folder`/NAME.pt2, and NAME.onnx if asked, and hold them against the model; what is in them as plain data.

    A file that differs by more than `tolerance` in any number is removed again and `ExportFailed` raised.
    """
    with torch.no_grad(), seeded(seed):
        program = _trace(function)
        checks = [function.inputs(rows) for rows in CHECKED_ROWS]
        expected = [function.module(**inputs) for inputs in checks]
    path = folder / f"{function.name}.pt2"
    torch.export.save(program, path)
    loaded = torch.export.load(path).module()
    report = {
        "file": path.name,
        "inputs": {name: _describe(name, [inputs[name] for inputs in checks], function) for name in checks[0]},
        "output": {"name": function.output, **_describe(function.output, expected, function)},
        "largest_difference": _check(path, lambda inputs: loaded(**inputs), checks, expected, tolerance),
    }
    if onnx:
        report["onnx"] = _export_onnx(function, program, path.with_suffix(".onnx"), checks, expected, tolerance)
    return report


def _trace(function: Function) -> torch.export.ExportedProgram:
    """The function as a graph for any number of rows, with no other weights than those that it reads."""
    module, inputs = copy.deepcopy(function.module), function.inputs(_TRACED_ROWS)
    rows = torch.export.Dim("batch")
    shapes = {name: {0: rows} for name in inputs}
    try:
        whole = torch.export.export(module, (), inputs, dynamic_shapes=shapes)
        nodes = whole.graph.find_nodes(op="placeholder")
        read = {spec.target for spec, node in zip(whole.graph_signature.input_specs, nodes, strict=True) if node.users}
        for name, _ in [*module.named_parameters(), *module.named_buffers()]:
            if name not in read:
                owner, _, leaf = name.rpartition(".")
                setattr(module.get_submodule(owner), leaf, None)
        return torch.export.export(module, (), inputs, dynamic_shapes=shapes)
    except Exception as error:  # whatever a model's own code or the tracer raises
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ExportFailed(f"{function.name}: torch.export cannot follow the model here: {reason}") from error


def _export_onnx(function: Function, program: Any, path: Path, checks: list, expected: list, tolerance: float) -> dict:
    """Write the program as ONNX; checked where onnxruntime is installed."""
    names = list(checks[0])
    shapes = {name: {0: "batch"} if name == names[0] else None for name in names}  # they share the axis
    torch.onnx.export(
        program, (), path, dynamo=True, external_data=False, verbose=False, dynamic_shapes=shapes,
        input_names=names, output_names=[function.output],
    )  # fmt: skip
    if find_spec("onnxruntime") is None:
        return {"file": path.name, "largest_difference": None}
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])

    def call(inputs: dict[str, Tensor]) -> Tensor:
        arrays = {name: value.numpy() for name, value in inputs.items()}
        return torch.from_numpy(session.run([function.output], arrays)[0])

    return {"file": path.name, "largest_difference": _check(path, call, checks, expected, tolerance)}


def _check(path: Path, call: Callable, checks: list[dict], expected: list[Tensor], tolerance: float) -> float:
    """The largest difference of what `call` gives from what is expected."""
    with torch.no_grad():
        given = [call(inputs) for inputs in checks]
    same_shapes = all(a.shape == b.shape for a, b in zip(given, expected, strict=True))
    largest = max((a - b).abs().max().item() for a, b in zip(given, expected, strict=True)) if same_shapes else None
    if largest is None or not largest <= tolerance:  # also where it is not a number
        path.unlink()
        what = "differs in shape from" if largest is None else f"differs by {largest:.3g} from"
        raise ExportFailed(
            f"{path.name}: {what} what the run gives, more than tolerance={tolerance:g}; the file is removed"
        )
    return largest


def _describe(name: str, values: list[Tensor], function: Function) -> dict:
    """Shape, type, range (null where every number will do), and the range that the check went through."""
    return {
        "shape": ["batch", *values[0].shape[1:]],
        "dtype": str(values[0].dtype).removeprefix("torch."),
        "range": function.ranges.get(name),
        "checked_range": [min(value.min().item() for value in values), max(value.max().item() for value in values)],
    }


def versions() -> dict[str, str]:
    """Versions of what wrote the files; a program of torch.export is made for its own version of torch and later."""
    found = {"python": platform.python_version()}
    for package in ("genlab", "torch", "onnx", "onnxscript", "onnxruntime"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
