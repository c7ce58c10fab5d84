"""Export a run's networks to files that need no GenLab: `torch.export` programs, and ONNX on request.

Each file holds one function of the model and only the weights it reads, for any batch size. It counts as exported once
it has been loaded again and compared with the model.
"""

import copy
import inspect
import platform
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from math import inf
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from genlab.config.options import models_that_can
from genlab.contract.data import Condition
from genlab.contract.model import GenerativeModel
from genlab.inference.run import Run
from genlab.media.kinds import shown_kind
from genlab.system.seeding import seeded
from genlab.system.version import installed

CHECKED_ROWS = (1, 3, 17)
"""Batch sizes at which an exported function is compared with the model."""

_TRACED_ROWS = 4  # torch.export treats 0 and 1 as constants


class ExportFailed(RuntimeError):
    """A function cannot be exported, or its export gives other results."""


class Part(nn.Module):
    """One method of a model as a module; its examples or latents come first, then its condition by field."""

    def __init__(self, model: GenerativeModel, method: str, fixed: dict[str, Any]):
        super().__init__()
        self.model, self.method, self.fixed = model, method, fixed

    def call(self, names: list[str], values: tuple[Tensor, ...]) -> Tensor:
        (_, rows), *condition = zip(names, values, strict=True)
        return getattr(self.model, self.method)(rows, *self.model.given(dict(condition)), **self.fixed)


def part(model: GenerativeModel, method: str, first: str, **fixed: Any) -> Part:
    """A `Part` whose forward takes `first` ("x" or "z") and the model's conditions by name: torch.export takes the
    names of a file's inputs from there. fixed: arguments that the file does not take."""
    names = [first] if fixed else [first, *model.conditions]

    def forward(self: Part, *values: Tensor, **named: Tensor) -> Tensor:
        return self.call(names, (*values, *(named[name] for name in names[len(values) :])))

    parameters = [inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD) for name in ("self", *names)]
    forward.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return type("Part", (Part,), {"forward": forward})(model, method, fixed)


@dataclass
class Function:
    """A function to export. module: on the CPU. inputs(n): draws n rows of each argument, by name.

    output: name of the result. ranges: smallest and largest value of those inputs and outputs that are bounded.
    """

    name: str
    module: nn.Module
    inputs: Callable[[int], dict[str, Tensor]]
    output: str
    ranges: dict[str, list[float]]


def functions(run: Run) -> list[Function]:
    """All functions of `run` that can be exported. `ValueError` if there are none."""
    model = copy.deepcopy(run.model).cpu()

    def examples(count: int, domain: str = run.data.domains[0]) -> dict[str, Tensor]:
        return {"x": torch.rand(count, *run.data[domain].shape)}

    def condition(count: int) -> Condition:
        """Any values: classes in turn, else numbers from 0 to 1."""
        fields = {name: run.data[name] for name in model.conditions}
        return {
            name: torch.arange(count) % field.size if field.size else torch.rand(count, *field.shape)
            for name, field in fields.items()
        }

    def conditioned(inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        return inputs | condition(len(next(iter(inputs.values()))))

    def latents(count: int) -> dict[str, Tensor]:
        given = model.given(condition(count))
        return {"z": model.prior(count) if run.can("prior") else model.encode(examples(count)["x"], *given)}

    bounds = shown_kind(run.data).bounds
    ranges = {name: list(bounds) for name in ("x", "y")} if bounds else {}
    ranges |= {name: [0, run.data[name].size - 1] for name in model.conditions if run.data[name].size}
    found = []
    if run.can("decode") and "decode" not in model.sequential and (run.can("prior") or run.can("encode")):
        found.append(Function("decode", part(model, "decode", "z"), lambda n: conditioned(latents(n)), "x", ranges))
    if run.can("encode"):
        found.append(Function("encode", part(model, "encode", "x"), lambda n: conditioned(examples(n)), "z", ranges))
    if run.can("translate") and "translate" not in model.noisy:
        for domain in model.targets:
            inputs = partial(examples, domain=run.origin_of(domain))
            found.append(
                Function(f"translate_to_{domain}", part(model, "translate", "x", to=domain), inputs, "y", ranges)
            )
    if not found and "translate" in model.noisy:
        raise ValueError(
            f"run={run.folder}: translates with noise, which a file cannot draw; train with network.dropout=0"
        )
    if not found:
        others = sorted({name for word in ("decode", "encode", "translate") for name in models_that_can(word)})
        raise ValueError(
            f"run={run.folder}: model {run.config.choices.model} has nothing to export, neither decode nor encode nor "
            f"translate; models that have: {', '.join(others)}"
        )
    return found


def check_onnx() -> None:
    """`ValueError` if a package that writes ONNX is missing."""
    if any(find_spec(package) is None for package in ("onnx", "onnxscript")):
        raise ValueError("onnx=true needs: pip install 'genlab[onnx]'")


def export(function: Function, folder: Path, onnx: bool = False, tolerance: float = 1e-4, seed: int = 0) -> dict:
    """Write `folder`/NAME.pt2, and NAME.onnx on request, and compare them with the model. Returns a plain-data report.

    If any output differs by more than `tolerance`, the file is removed and `ExportFailed` raised.
    """
    with torch.no_grad(), seeded(seed):
        program = _trace(function)
        checks = [function.inputs(rows) for rows in CHECKED_ROWS]
        expected = [function.module(**inputs) for inputs in checks]
    path = folder / f"{function.name}.pt2"
    with path.open("wb+") as file:  # torch takes no names beyond UTF-8
        torch.export.save(program, file)
        file.seek(0)
        loaded = torch.export.load(file).module()
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
    """The function as a graph for any batch size, with only the weights it reads."""
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
    except Exception as error:  # the model's code and the tracer may raise anything
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        if "onstraint" in reason:
            reason += " (the model fixes the number of rows: it must take x.shape[0], not len(x))"
        raise ExportFailed(f"{function.name}: torch.export cannot follow the model here: {reason}") from error


def _export_onnx(function: Function, program: Any, path: Path, checks: list, expected: list, tolerance: float) -> dict:
    """Write the program as ONNX. It is checked if onnxruntime is installed."""
    names = list(checks[0])
    shapes = {name: {0: "batch"} if name == names[0] else None for name in names}  # one batch axis for all
    torch.onnx.export(
        program, (), path, dynamo=True, external_data=False, verbose=False, dynamic_shapes=shapes,
        input_names=names, output_names=[function.output],
    )  # fmt: skip
    if find_spec("onnxruntime") is None:
        return {"file": path.name, "largest_difference": None}
    import onnxruntime

    session = onnxruntime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])

    def call(inputs: dict[str, Tensor]) -> Tensor:
        arrays = {name: value.numpy() for name, value in inputs.items()}
        return torch.from_numpy(session.run([function.output], arrays)[0])

    return {"file": path.name, "largest_difference": _check(path, call, checks, expected, tolerance)}


def _check(path: Path, call: Callable, checks: list[dict], expected: list[Tensor], tolerance: float) -> float:
    """The largest absolute difference between the outputs of `call` and the expected ones."""
    with torch.no_grad():
        given = [call(inputs) for inputs in checks]
    pairs = zip(given, expected, strict=True)
    largest = max((a - b).abs().max().item() if a.shape == b.shape else inf for a, b in pairs)
    if not largest <= tolerance:  # also if it is NaN
        path.unlink()
        raise ExportFailed(
            f"{path.name}: differs by {largest:.3g} from what the run gives, more than tolerance={tolerance:g}; the "
            "file is removed"
        )
    return largest


def _describe(name: str, values: list[Tensor], function: Function) -> dict:
    """Shape, dtype, range (null if unbounded), and the range that the check covered."""
    return {
        "shape": ["batch", *values[0].shape[1:]],
        "dtype": str(values[0].dtype).removeprefix("torch."),
        "range": function.ranges.get(name),
        "checked_range": [min(value.min().item() for value in values), max(value.max().item() for value in values)],
    }


def versions() -> dict[str, str]:
    """Versions of the packages that wrote the files. A torch.export program needs at least its own version of torch."""
    packages = installed("genlab", "torch", "onnx", "onnxscript", "onnxruntime")
    return {"python": platform.python_version(), **{name: found for name, found in packages.items() if found}}
