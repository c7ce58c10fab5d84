"""`genlab export`: the networks of a trained run for use without GenLab. Needs only the checkpoint."""

from pathlib import Path
from typing import Any

from genlab.commands.results import load_run, results
from genlab.config.commands import ExportConfig
from genlab.inspection.exporting import CHECKED_ROWS, check_onnx, export, functions, versions
from genlab.system.small_files import json_text


def main(config: ExportConfig) -> None:
    if config.onnx:
        check_onnx()
    run = load_run(config)
    parts = functions(run)
    with results(run, "exports", config) as (new, folder):
        reports = {part.name: export(part, new, config.onnx, config.tolerance, config.seed) for part in parts}
        content = {
            "run": str(run.folder),
            "model": run.config.choices.model,
            "checkpoint_step": run.step,
            "weights": run.weights,
            "functions": reports,
            "checked_rows": list(CHECKED_ROWS),
            "tolerance": config.tolerance,
            "seed": config.seed,
            "versions": versions(),
        }
        (new / "export.json").write_text(json_text(content, indent=2) + "\n")
    for report in reports.values():
        for file in (report, *([report["onnx"]] if config.onnx else [])):
            difference = file["largest_difference"]
            checked = "not checked: needs onnxruntime" if difference is None else f"largest difference {difference:.2g}"
            print(f"function   {folder}/{file['file']} ({checked})")
    print(f"listing    {folder}/export.json")
    print("use        " + "\n           ".join(_example(folder, *next(iter(reports.items())))))


def _example(folder: Path, name: str, report: dict[str, Any]) -> list[str]:
    """Python code, line by line, that calls the function on five rows."""
    arguments = []
    for argument, entry in report["inputs"].items():
        shape = ", ".join(map(str, [5, *entry["shape"][1:]]))
        if entry["dtype"] == "int64":
            arguments.append(f"{argument}=torch.randint({entry['range'][1] + 1}, ({shape},))")
        else:
            arguments.append(f"{argument}=torch.{'rand' if entry['range'] else 'randn'}({shape})")
    output = report["output"]
    return [
        "import torch",
        f"{name} = torch.export.load({str(folder / report['file'])!r}).module()",
        f"{output['name']} = {name}({', '.join(arguments)})  # {[5, *output['shape'][1:]]}",
    ]
