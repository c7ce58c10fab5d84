"""Exported functions: the same as the run's, for any number of rows, with no more weights than needed."""

import lab
import pytest
import torch
from test_scoring import run_of

from genlab.config.options import class_of, models_that_can
from genlab.contract.model import GenerativeModel
from genlab.inspection import exporting
from genlab.inspection.exporting import ExportFailed, export, functions


def asked_of_the_run(run, name, inputs):
    """What `run` itself gives for the inputs of an exported function."""
    if name.startswith("translate_to_"):
        return run.translate(inputs["x"], name.removeprefix("translate_to_"))
    first, *_ = (inputs[argument] for argument in inputs if argument in ("x", "z"))
    return getattr(run, name)(first, {field: inputs[field] for field in run.model.conditions} or None)


ABLE = {name for word in ("decode", "encode", "translate") for name in models_that_can(word)}

EXPORTED = sorted({class_of("model", name): name for name in sorted(ABLE, reverse=True)}.values())
"""Of each class the first: torch takes seconds to trace one."""


def _smaller(name):
    """Fewer layers, where there are many alike."""
    if lab.has_key(name, "network", "widths"):
        yield "network.widths=[8]"
    if {"layers", "levels"} <= set(lab.keys_of(name)):
        yield "model.layers=1"


@pytest.mark.parametrize("name", EXPORTED)
def test_a_file_gives_what_the_run_gives(name, tmp_path):
    run = run_of(name, *(["model.steps=1"] if "steps" in lab.keys_of(name) else []), *_smaller(name))
    if "translate" in run.model.noisy:
        with pytest.raises(ValueError, match=r"noise.*network\.dropout=0"):
            functions(run)
        run = run_of(name, "network.dropout=0")
    found = functions(run)
    assert {part.name for part in found} == {
        *(word for word in ("decode", "encode") if run.can(word) and word not in run.model.sequential),
        *(f"translate_to_{domain}" for domain in run.model.targets if run.can("translate")),
    }
    for part in found:
        report = export(part, tmp_path)
        loaded = torch.export.load(tmp_path / report["file"]).module()
        for rows in (1, 2, 40):
            inputs = part.inputs(rows)
            torch.testing.assert_close(loaded(**inputs), asked_of_the_run(run, part.name, inputs), rtol=0, atol=1e-5)
        assert report["largest_difference"] <= 1e-5
        assert report["inputs"].keys() == part.inputs(1).keys()
        for argument, value in part.inputs(1).items():
            assert report["inputs"][argument]["shape"] == ["batch", *value.shape[1:]]


def test_a_file_holds_only_what_its_function_reads(tmp_path):
    run = run_of("vae")
    weights = {}
    before, state = lab.snapshot(run.model.state_dict()), torch.get_rng_state()
    for part in functions(run):
        export(part, tmp_path)
        weights[part.name] = set(torch.export.load(tmp_path / f"{part.name}.pt2").state_dict)
    assert weights["decode"] == {f"model.decoder.{name}" for name in run.model.decoder.state_dict()}
    assert weights["encode"] == {f"model.encoder.{name}" for name in run.model.encoder.state_dict()}
    assert torch.equal(torch.get_rng_state(), state), "and the run stays as it was"
    assert not list(lab.differences(run.model.state_dict(), before))


@pytest.mark.parametrize("error", [1e-3, float("nan")])
def test_a_file_that_differs_is_removed(error, tmp_path, monkeypatch):
    read = torch.export.load

    class Off:
        def __init__(self, path):
            self.program = read(path).module()

        def module(self):
            return lambda **inputs: self.program(**inputs) + error

    monkeypatch.setattr(exporting.torch.export, "load", Off)
    decode, _ = functions(run_of("ae"))
    with pytest.raises(ExportFailed, match=r"^decode\.pt2: differs by (0\.001|nan)"):
        export(decode, tmp_path, tolerance=1e-4)
    assert not list(tmp_path.iterdir())


def test_a_model_that_cannot_be_traced_is_a_failure_in_one_line(tmp_path, monkeypatch):
    run = run_of("ae")
    monkeypatch.setattr(type(run.model), "decode", lambda self, z: self.decoder(z) if z.sum() > 0 else z)
    decode, _ = functions(run)
    with pytest.raises(ExportFailed, match=r"^decode: torch.export cannot follow the model here: .+") as why:
        export(decode, tmp_path)
    assert "\n" not in str(why.value) and not list(tmp_path.iterdir())


def test_a_model_with_nothing_to_export_is_refused():
    run = run_of("gan")
    run.model = GenerativeModel(run.data)
    message = r"model gan has nothing to export, .*; models that have: acgan, ae, beta-vae"
    with pytest.raises(ValueError, match=message):
        functions(run)
