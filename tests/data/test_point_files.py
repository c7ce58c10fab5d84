"""Points of the user's own files: what is read, and what is refused with its place."""

import numpy as np
import pytest
import torch

from genlab.data.point_files import PointsFile, read_points


@pytest.fixture
def csv(tmp_path):
    """`csv(text, **settings)`: the dataset of a file with this text."""

    def write(text, **settings):
        path = tmp_path / "some.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return PointsFile(path=str(path), **settings)

    return write


@pytest.fixture
def npz(tmp_path):
    def write(settings=None, **arrays):
        np.savez(tmp_path / "some.npz", **arrays)
        return PointsFile(path=str(tmp_path / "some.npz"), **(settings or {}))

    return write


def everything(source):
    """Both splits, in the order of the file."""
    tables = {split: source.open(split)[0].load() for split in ("train", "validation")}
    rows = torch.cat([source.rows[split] for split in tables]).argsort()
    return {name: torch.cat([part[name] for part in tables.values()])[rows] for name in tables["train"]}


POINTS = [[1.0, 10.0], [2.0, -20.0], [3.5, 30.0], [4.0, 4e-3]]
TEXT = "1,10\n2,-20\n3.5,3e1\n4,.004\n"


@pytest.mark.parametrize(
    "text",
    [TEXT, "first,second\n" + TEXT, "\ufeff" + TEXT.replace("\n", "\r\n\r\n"), TEXT.replace(",", " , ").rstrip()],
)
def test_csv_with_and_without_names(csv, text):
    source = csv(text, validation_fraction=0.25)
    assert torch.equal(everything(source)["x"], torch.tensor(POINTS))
    assert source.sizes == {"train": 3, "validation": 1} and source.spec.num_examples == 3
    train = source.open("train")[0].load()["x"].double()
    assert source.spec["x"].centre == pytest.approx(train.mean(0).tolist())
    assert source.spec["x"].scale == pytest.approx(train.std(0, correction=0).tolist())


def test_classes_by_name_and_by_number(csv):
    source = csv("x,kind\n1,rose\n2,iris\n3,rose\n", labels_column="kind")
    assert source.spec["label"].names == ("iris", "rose") and source.spec["x"].shape == (1,)
    assert everything(source)["label"].tolist() == [1, 0, 1]
    source = csv("0,1.5,2\n1,2.5,3\n0,0,0\n", labels_column=1)
    assert source.spec["label"].names == () and source.spec["label"].size == 2
    assert everything(source)["x"].tolist() == [[1.5, 2], [2.5, 3], [0, 0]]


def test_arrays_of_an_npz_file(npz):
    points = np.arange(12).reshape(4, 3)
    source = npz({"labels_key": "kinds"}, points=points, kinds=np.array([0, 1, 1, 2]))
    found = everything(source)
    assert found["x"].tolist() == points.tolist() and found["label"].tolist() == [0, 1, 1, 2]
    assert source.spec["label"].size == 3


def test_a_constant_column_has_scale_1(csv):
    assert csv("1,5\n2,5\n3,5\n4,5\n").spec["x"].scale[1] == 1.0


@pytest.mark.parametrize(
    "text, settings, parts",
    [
        ("1,2\n3,four\n", {}, ["some.csv", "row 2", "column 2", "four"]),
        ("a,b\n1,2\n\n3,\n", {}, ["row 4", "column 2 (b)", "empty"]),
        ("1,2\nnan,4\n", {}, ["row 2", "column 1", "finite"]),
        ("1,2\n3,1e39\n", {}, ["row 2", "column 2", "finite"]),
        ("a,kind,b\n1,u,2\n1,v,inf\n", {"labels_column": 2}, ["row 3", "column 3 (b)", "finite"]),
        ("1,2\n3,4,5\n", {}, ["row 2", "3 cells"]),
        ("", {}, ["some.csv", "empty"]),
        ("a,b\n", {}, ["no points"]),
        ("1,2\n", {}, ["1"]),
        ("1;2\n3;4\n", {}, ["commas"]),
        (b"\xff\xfe1\x00", {}, ["UTF-8"]),
        ("a,b\n1,2\n3,4\n", {"labels_column": "c"}, ["labels_column=c"]),
        ("1,2\n3,4\n", {"labels_column": "c"}, ["no column names"]),
        ("1,2\n3,4\n", {"labels_column": 3}, ["labels_column=3", "1 to 2"]),
        ("1,0.5\n3,0.7\n", {"labels_column": 2}, ["0.5", "no class"]),
        ("1\n0\n", {"labels_column": 1}, ["no column besides"]),
        ("1,0\n3,rose\n", {"labels_column": 2}, ["'0'", "no class"]),
        ("1,1_0\n3,2\n", {"labels_column": 2}, ["'1_0'", "no class"]),
        ("1,0\n3,inf\n", {"labels_column": 2}, ["no class"]),
        ("x,kind\n1,rose\n", {}, ["kind", "dataset.labels_column=kind"]),
        ("1,2,rose\n1,2,iris\n", {}, ["dataset.labels_column=3"]),
        ("1,2\n1_000,4\n", {}, ["row 2, column 1", "1_000 is not a number"]),
        ("1_0,2_0\n1,2\n", {}, ["row 1", "not a number"]),
        ("x,2020\n1,2\n", {}, ["row 1", "column names may hold no numbers"]),
        ("x,2020\n1,2\n", {"labels_column": "x"}, ["column names may hold no numbers"]),
        ("a,b\n1,1e-46\n2,2e-46\n3,3e-46\n", {}, ["some.csv, column 2 (b)", "units"]),
        ("k,b\n0,1\n0,1.000001\n0,1.000002\n0,1.000003\n", {"labels_column": 1}, ["column 2 (b)", "offset"]),
        ("1,2\n3,4\n", {"labels_key": "labels"}, ["labels_column"]),
        ("1,2\n3,4\n", {"validation_fraction": 1.0}, ["validation_fraction"]),
    ],
)
def test_mistakes_in_csv_files_are_named_with_their_place(csv, text, settings, parts):
    with pytest.raises(ValueError) as error:
        csv(text, **settings)
    assert "\n" not in str(error.value)
    for part in parts:
        assert part in str(error.value)


@pytest.mark.parametrize(
    "arrays, settings, parts",
    [
        ({"points": np.zeros(4)}, {}, ["points_key=points", "[N, D]"]),
        ({"points": np.zeros((4, 2, 2))}, {}, ["[N, D]"]),
        ({"points": np.zeros((0, 2))}, {}, ["[N, D]"]),
        ({"points": np.array([["a"]])}, {}, ["cannot be points"]),
        ({"other": np.zeros((4, 2))}, {}, ["points_key=points", "Give dataset.points_key=other"]),
        ({"points": np.array([[0, 1], [2, np.inf]])}, {}, ["points[1, 1]", "finite"]),
        ({"points": np.array([[0, 1], [1e39, 0]])}, {}, ["points[1, 0]", "finite"]),
        ({"points": np.eye(3), "l": np.zeros(2, int)}, {"labels_key": "l"}, ["labels_key=l", "3 points"]),
        ({"points": np.eye(3), "l": np.array([0, 2.5, 2])}, {"labels_key": "l"}, ["2.5", "no class"]),
        ({"points": np.eye(3)}, {"labels_column": 1}, ["labels_key"]),
    ],
)
def test_mistakes_in_arrays_are_named(npz, arrays, settings, parts):
    with pytest.raises(ValueError) as error:
        npz(settings, **arrays)
    assert "\n" not in str(error.value)
    for part in parts:
        assert part in str(error.value)


def test_values_are_standardized_before_float32_rounds_them(csv, npz):
    times = 1_700_000_000 + np.arange(1000)
    for make in (lambda: csv("\n".join(map(str, times))), lambda: npz(points=times[:, None])):
        with pytest.raises(ValueError, match=r"some.*(column 1|points\[:, 0\]).*offset"):
            make()
    values = 1e4 + np.arange(1000) / 100
    source = npz(points=values[:, None])
    train = values[np.asarray(source.rows["train"])]
    assert source.spec["x"].centre[0] == pytest.approx(train.mean(), rel=1e-14)
    assert source.spec["x"].scale[0] == pytest.approx(train.std(), rel=1e-9)
    assert npz(points=np.full((10, 1), 0.1)).spec["x"].scale == (1.0,)


def test_messages_name_what_gave_the_path(tmp_path):
    (tmp_path / "a.csv").write_text("1,2\n3,rose\n")
    np.savez(tmp_path / "b.npz", other=np.zeros((2, 2)))
    (tmp_path / "c.npz").write_text("none")
    for name, part in {"a.csv": "row 2", "b.npz": "other", "c.npz": "input="}.items():
        with pytest.raises(ValueError, match=part) as error:
            read_points(tmp_path / name, "input")
        assert "dataset" not in str(error.value)


def test_files_that_are_none(tmp_path):
    (tmp_path / "points.txt").write_text(TEXT)
    (tmp_path / "points.npz").write_text(TEXT)
    for path in (None, str(tmp_path / "no.csv"), str(tmp_path / "points.txt"), str(tmp_path / "points.npz")):
        with pytest.raises(ValueError, match=r"dataset\.path"):
            PointsFile(path=path)
