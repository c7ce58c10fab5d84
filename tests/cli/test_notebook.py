"""docs/first-steps.ipynb runs from top to bottom, and is stored without outputs."""

import json
import os
from pathlib import Path

import matplotlib
import pytest

from genlab.checkpoints.folder import RunFolder

NOTEBOOK = Path(__file__).parents[2] / "docs/first-steps.ipynb"
CELLS = [cell for cell in json.loads(NOTEBOOK.read_text())["cells"] if cell["cell_type"] == "code"]


def test_it_is_stored_without_outputs():
    assert CELLS and all(cell["outputs"] == [] and cell["execution_count"] is None for cell in CELLS)


def test_it_runs(tmp_path, monkeypatch, capsys):
    """Its cells in one namespace, as a kernel would run them; it needs no IPython."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})  # others test beside
    backend = matplotlib.get_backend()
    matplotlib.use("agg")
    found = {}
    try:
        for number, cell in enumerate(CELLS):
            exec(
                compile("".join(cell["source"]).replace("max_steps=300", "max_steps=20"), f"cell {number}", "exec"),
                found,
            )
    except Exception as error:
        pytest.fail(f"{NOTEBOOK.name}: {error}: {getattr(error, 'stderr', '')}")
    finally:
        matplotlib.use(backend)
        os.sched_setaffinity(0, allowed)
    assert found["samples"].shape[0] == 16 and RunFolder(found["run"].folder).evaluation.is_file()
    assert "elbo" in capsys.readouterr().out
