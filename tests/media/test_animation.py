"""Animations and strips of images of several steps."""

import numpy as np
import pytest
from PIL import Image

from genlab.media.animation import evenly, growing, save_film, save_strip


def pictures(folder, sizes):
    """Images of one grey level each, 10 lighter than the former."""
    paths = []
    for number, size in enumerate(sizes):
        paths.append(folder / f"{number}.png")
        Image.new("RGB", size, (10 * number,) * 3).save(paths[-1])
    return paths


def test_indices_are_spread_from_the_first_to_the_last():
    assert evenly(5, 10) == [0, 1, 2, 3, 4] and evenly(9, 3) == [0, 4, 8] and evenly(1, 3) == [0]
    spread = evenly(1000, 300)
    assert len(spread) == 300 and spread[0] == 0 and spread[-1] == 999
    assert set(np.diff(spread)) == {3, 4}


@pytest.mark.parametrize("steps", [range(10, 310, 10), [0, 5, 10], [7, 8], [3], range(1000, 101_000, 1000)])
@pytest.mark.parametrize("most", [2, 3, 6])
def test_steps_grow_from_the_first_to_the_last(steps, most):
    chosen = growing(list(steps), most)
    assert chosen[0] == steps[0] and chosen[-1] == steps[-1]
    assert len(chosen) == min(most, len(steps)) and set(chosen) <= set(steps)
    assert chosen == sorted(set(chosen))


def test_steps_are_about_geometric():
    assert growing(list(range(10, 330, 10)), 6) == [10, 20, 40, 80, 160, 320]


def test_an_animation_shows_all_and_holds_the_last(tmp_path):
    paths = pictures(tmp_path, [(30, 20)] * 5)
    save_film(paths, "abcde", tmp_path / "a.gif", 100, {"model": "gan", "step": "1 to 5"})
    with Image.open(tmp_path / "a.gif") as film:
        assert film.n_frames == 5 and film.info["comment"] == b"model: gan\nstep: 1 to 5"
        shown = []
        for frame in range(5):
            film.seek(frame)
            shown.append((film.convert("RGB").getpixel((3, 33))[0], film.info["duration"]))
        assert [level for level, _ in shown] == [0, 10, 20, 30, 40]
        assert {duration for _, duration in shown[:-1]} == {100} and shown[-1][1] > 1000


def test_frames_say_their_step_small_ones_stand_at_the_right_and_large_ones_are_reduced(tmp_path):
    save_film(
        pictures(tmp_path, [(30, 20), (3000, 100), (3000, 100)]), ["step 1", "2", "3"], tmp_path / "a.gif", 100, {}
    )
    with Image.open(tmp_path / "a.gif") as film:
        assert film.n_frames == 3 and film.size == (960, 30 + 32)
        first = np.asarray(film.convert("L"))
    assert first[:30].min() < 128 and (first[30:50, 930:] == 0).all() and (first[30:, :930] > 250).all()


def test_a_strip_shows_images_side_by_side_below_their_titles(tmp_path):
    paths = pictures(tmp_path, [(30, 20), (60, 40), (60, 40)])
    for columns, size in ((None, (196, 70)), (2, (128, 148)), (9, (196, 70))):
        save_strip(paths, ["step 1", "2", "3"], tmp_path / "s.png", {"seed": "3"}, columns)
        with Image.open(tmp_path / "s.png") as strip:
            assert strip.size == size and strip.text == {"seed": "3"}
            pixels = np.asarray(strip)
        assert pixels[:30].min() < 128, "titles"
        assert pixels[35, 40].tolist() == [0] * 3 and pixels[35, 100].tolist() == [10] * 3


def test_damaged_images_are_named(tmp_path):
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    with pytest.raises(ValueError, match=r"a\.png.*damaged"):
        save_film([tmp_path / "a.png"], ["1"], tmp_path / "a.gif", 100, {})


def test_large_images_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("genlab.media.animation._LARGEST", 100)
    with pytest.raises(ValueError, match=r"0\.png.*too large"):
        save_strip(pictures(tmp_path, [(11, 10)]), ["1"], tmp_path / "s.png", {})
