"""VAE at its defaults on photographs of faces, by the rules of its recipe. Takes minutes."""

import json
import os
from pathlib import Path

import pytest
from digit_reader import train

pytestmark = pytest.mark.slow


def test_reconstructs_faces(tmp_path):
    faces = Path(os.environ.get("GENLAB_DATA", ""), "lfw64")
    if not faces.is_dir():
        pytest.skip("needs lfw64 below $GENLAB_DATA")
    final = train(tmp_path / "run", "model=vae", "dataset=image-folder", f"dataset.path={faces}")
    print(json.dumps(final))
    assert final["validation/mse"] <= 0.0095
