"""CycleGAN at its defaults: stripes appear and vanish where they truly would. Takes minutes, so it is marked slow."""

import json
import time

import pytest
from digit_reader import train

pytestmark = pytest.mark.slow


def test_translations_come_close_to_true_counterparts(tmp_path):
    start = time.monotonic()
    final = train(tmp_path / "run", "model=cyclegan")
    minutes = (time.monotonic() - start) / 60
    print(json.dumps({"minutes": minutes, **final}))
    assert final["validation/paired_error/a"] <= 0.15
    assert final["validation/paired_error/b"] <= 0.15
    assert minutes <= 10
