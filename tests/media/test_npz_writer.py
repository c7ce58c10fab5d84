"""Arrays that grow on the disk: what went in comes out, and nothing is left of what failed."""

import numpy as np

from genlab.media.npz import NpzWriter


def test_rows_come_back_in_order_and_as_a_file(tmp_path):
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (9, 4, 5, 3)).astype(np.uint8)
    errors = random.normal(size=9).astype(np.float32)
    with NpzWriter(tmp_path) as writer:
        for start in range(0, 9, 4):
            writer.add(images=images[start : start + 4], errors=errors[start : start + 4])
        assert (writer.array("images") == images).all()
        assert list(tmp_path.iterdir()) == [], "nothing to see before it is saved"
        writer.save(tmp_path / "x.npz")
    with np.load(tmp_path / "x.npz", allow_pickle=False) as file:
        assert set(file) == {"images", "errors"}
        assert file["images"].dtype == np.uint8 and (file["images"] == images).all()
        assert file["errors"].dtype == np.float32 and (file["errors"] == errors).all()
