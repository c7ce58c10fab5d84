"""CycleGAN at its defaults: stripes appear and vanish where they truly would. Takes minutes, so it is marked slow."""

import json
import time

import pytest

from genlab.cli import main

pytestmark = pytest.mark.slow


def test_translations_come_close_to_true_counterparts(tmp_path):
    start = time.monotonic()
    with pytest.raises(SystemExit) as stop:
        main(["train", "model=cyclegan", f"hydra.run.dir={tmp_path / 'run'}"])
    minutes = (time.monotonic() - start) / 60
    assert stop.value.code == 0
    final = json.loads((tmp_path / "run" / "status.json").read_text())["final"]
    print(json.dumps({"minutes": minutes, **final}))
    assert final["validation/paired_error/a"] <= 0.15
    assert final["validation/paired_error/b"] <= 0.15
    assert minutes <= 10
