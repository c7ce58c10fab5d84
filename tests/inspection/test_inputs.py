"""Images that commands look at: which of them are drawn."""

from types import SimpleNamespace

import torch

from genlab.inspection import dataset


def test_pairs_are_drawn_from_all_of_the_split_and_only_they_are_read(monkeypatch):
    read = []

    def rows(index):
        read.extend(index.tolist())
        return {"image": torch.full((len(index), 1, 2, 2), 51, dtype=torch.uint8)}

    source = SimpleNamespace(sizes={"validation": 10_000}, open=lambda split: [SimpleNamespace(rows=rows)])
    monkeypatch.setattr(dataset, "run_source", lambda run, config: (source, "digits"))

    def draw(seed):
        read.clear()
        images, title = dataset.drawn_pairs(None, SimpleNamespace(seed=seed, dataset=None), 20)
        assert images.shape == (40, 1, 2, 2) and title == "validation"
        torch.testing.assert_close(images, torch.full_like(images, 0.2))
        return list(read)

    first = draw(0)
    assert len(set(first)) == 40 and min(first) < 2500 and max(first) > 7500
    assert draw(0) == first != draw(1)
