"""`genlab export`: the networks of a trained run for use without GenLab. Needs the checkpoint alone."""

from genlab.commands.results import results
from genlab.commands.use import COMMON_KEYS, compose_use, load_run

HELP = f"""usage: genlab export [run=DIR] [onnx=true] [key=value ...]

Write what the model can do as functions that need no GenLab, into RUN/exports/NAME/, by torch.export, for any
number of rows: decode.pt2 (latents, and labels where the model takes them, to pictures in [0, 1]), encode.pt2
(pictures to latents), translate_to_a.pt2 and translate_to_b.pt2; with onnx=true the same as .onnx.

Each file is read back and held against the run on random inputs. export.json lists inputs, shapes, ranges,
the largest difference and versions. Where one differs by more than the tolerance, none is kept: exit code 1.

  genlab export run=outputs/vae-mnist/20261120-153012-5306
  genlab export run=latest onnx=true

keys
  onnx       true writes ONNX files as well (false); needs: pip install 'genlab[onnx]'
  tolerance  largest difference of any number from what the run gives (1e-4)
{COMMON_KEYS}"""


def main(arguments: list[str]) -> int:
    config = compose_use("export", arguments)

    import json

    from genlab.sampling.exporting import CHECKED_ROWS, check_onnx, export, functions, versions

    if config.onnx:
        check_onnx()
    run = load_run(config)
    parts = functions(run)
    with results(run, "exports", config) as result:
        writing = result.writing
        reports = {part.name: export(part, writing, config.onnx, config.tolerance, config.seed) for part in parts}
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
        (writing / "export.json").write_text(json.dumps(content, indent=2) + "\n")
    folder = result.path
    for report in reports.values():
        for file in (report, *([report["onnx"]] if config.onnx else [])):
            print(f"function   {folder}/{file['file']} ({_checked(file['largest_difference'])})")
    print(f"listing    {folder}/export.json")
    print("use        " + "\n           ".join(_example(folder, *next(iter(reports.items())))))
    return 0


def _checked(difference: float | None) -> str:
    return "not checked: needs onnxruntime" if difference is None else f"largest difference {difference:.2g}"


def _example(folder, name: str, report: dict) -> list[str]:
    """Lines of Python that call the function on five rows."""
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
