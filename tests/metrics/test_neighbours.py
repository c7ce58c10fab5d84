import math

import pytest
import torch
from sklearn.neighbors import NearestNeighbors

from genlab.metrics.neighbours import data_copying, nearest


def draw(count, seed, dimensions=5):
    return torch.randn(count, dimensions, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("chunk", [3, 64, 1000])
def test_neighbours_are_those_of_scikit_learn_however_the_table_is_cut(chunk):
    queries, table = draw(1100, 0), draw(300, 1)
    distances, index = NearestNeighbors(n_neighbors=4, algorithm="brute").fit(table).kneighbors(queries)
    found = nearest(queries, table.split(chunk), 4)
    assert found.rows.tolist() == index.tolist()
    torch.testing.assert_close(found.distances, torch.from_numpy(distances).double(), rtol=1e-5, atol=1e-6)


def test_a_copy_is_found_at_distance_zero_even_far_from_the_origin():
    table = draw(200, 0) + 1000
    found = nearest(table[[17, 150]], iter(table.split(50)))
    assert found.rows[:, 0].tolist() == [17, 150]
    assert found.distances[:, 0].tolist() == [0, 0]


def test_more_neighbours_than_the_table_holds_are_refused():
    with pytest.raises(ValueError, match="5 nearest neighbours are asked for, and the table holds 4"):
        nearest(draw(2, 0), draw(4, 1).split(2), 5)


def distances(points, train):
    return nearest(points, train.split(100)).distances[:, 0]


def test_fresh_samples_lie_as_near_to_training_data_as_held_out_ones():
    train = draw(500, 1)
    result = data_copying(distances(draw(2000, 0), train), distances(draw(2000, 2), train))
    assert abs(result["gap"]) < 0.03
    assert abs(result["closer_than_held_out"] - 0.5) < 0.02


def test_copies_are_found_out_and_noisy_copies_too():
    train = draw(5000, 1)
    held_out = distances(draw(300, 2), train)
    copied = data_copying(distances(train[:100], train), held_out)
    assert (copied["gap"], copied["closer_than_held_out"], copied["sample_distance"]) == (1, 1, 0)
    noisy = data_copying(distances(train[:100] + 0.02 * draw(100, 3), train), held_out)
    assert 0.5 < noisy["gap"] < 1
    assert noisy["closer_than_held_out"] > 0.95


def test_the_share_of_nearer_pairs_counts_ties_half():
    samples, held_out = torch.tensor([1.0, 2, 2, 5]), torch.tensor([2.0, 3, 0])
    pairs = [(s < h) + (s == h) / 2 for s in samples for h in held_out]
    assert data_copying(samples, held_out)["closer_than_held_out"] == pytest.approx(float(sum(pairs)) / 12)
    assert data_copying(held_out, held_out)["closer_than_held_out"] == 0.5


def test_there_is_no_gap_to_held_out_images_that_are_copies_themselves():
    assert math.isnan(data_copying(torch.ones(3), torch.zeros(2))["gap"])
