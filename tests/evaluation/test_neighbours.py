import pytest
import torch
from sklearn.neighbors import NearestNeighbors

from genlab.evaluation.neighbours import nearest, overfitting_gap


def draw(count, seed, dimensions=5):
    return torch.randn(count, dimensions, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("chunk", [3, 64, 1000])
def test_neighbours_are_those_of_scikit_learn_however_the_table_is_cut(chunk):
    queries, table = draw(1100, 0), draw(300, 1)
    distances, index = NearestNeighbors(n_neighbors=4, algorithm="brute").fit(table).kneighbors(queries)
    found = nearest(queries, table.split(chunk), 4)
    assert found.index.tolist() == index.tolist()
    torch.testing.assert_close(found.distances, torch.from_numpy(distances).double(), rtol=1e-5, atol=1e-6)


def test_a_copy_is_found_at_distance_zero_even_far_from_the_origin():
    table = draw(200, 0) + 1000
    found = nearest(table[[17, 150]], iter(table.split(50)))
    assert found.index[:, 0].tolist() == [17, 150]
    assert found.distances[:, 0].tolist() == [0, 0]


def test_more_neighbours_than_the_table_holds_are_refused():
    with pytest.raises(ValueError, match="5 nearest neighbours are asked for, and the table holds 4"):
        nearest(draw(2, 0), draw(4, 1).split(2), 5)


def test_fresh_samples_lie_as_near_to_training_as_to_held_out_data():
    result = overfitting_gap(draw(2000, 0), draw(500, 1), draw(500, 2))
    assert abs(result["gap"]) < 0.03
    assert abs(result["closer_to_train"] - 0.5) < 0.05


def test_copies_are_found_out_and_noisy_copies_too():
    train, held_out = draw(500, 1), draw(500, 2)
    copied = overfitting_gap(train[:100], train, held_out)
    assert (copied["gap"], copied["closer_to_train"], copied["train_distance"]) == (1, 1, 0)
    noisy = overfitting_gap(train[:100] + 0.1 * draw(100, 3), train, held_out)
    assert 0.5 < noisy["gap"] < 1
    assert noisy["closer_to_train"] > 0.95


def test_ties_count_half():
    same = draw(50, 1)
    result = overfitting_gap(draw(20, 0), same, same)
    assert (result["gap"], result["closer_to_train"]) == (0, 0.5)


def test_sets_of_different_size_are_not_compared():
    with pytest.raises(ValueError, match="500 training and 400 held-out examples"):
        overfitting_gap(draw(10, 0), draw(500, 1), draw(400, 2))
