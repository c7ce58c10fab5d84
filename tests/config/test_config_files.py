"""The YAML files as they are written: comments of keys are read, and put behind the values of another text."""

import yaml

from genlab.config import files
from genlab.config.files import comments_of, read_file, with_comments

TEXT = """# The whole file
size: 3  # of the latent
# Above it: what follows
width: 4
deep:    # a group
  lists: [1, 2]   # with a "#" inside, that goes
                  # on in the next line
  # none of deep's keys

  text: "a # b"
  later: |
    a # b
odd: null
"""


def test_comments_are_read_with_their_keys(tmp_path, monkeypatch):
    (tmp_path / "file.yaml").write_text(TEXT)
    monkeypatch.setattr(files, "config_file", lambda name: tmp_path / "file.yaml")
    found = read_file("model/file.yaml")
    assert found.comments == {
        "model.size": "of the latent",
        "model.width": "Above it: what follows",
        "model.deep": "a group",
        "model.deep.lists": 'with a "#" inside, that goes on in the next line',
    }
    assert found.values["model.deep.text"] == "a # b" and found.values["model.odd"] is None


def test_a_commented_text_holds_the_same():
    values = {"a": [1, 2], "b": {}, "c": "x: y\nz " * 30, "d": {"e": None, "f": "#"}, "g": "'", "h": {"i": {"j": 1.5}}}
    text = yaml.safe_dump(values)
    commented = with_comments(text, {key: f"about {key}" for key in ("a", "b", "c", "d", "d.e", "d.f", "g", "h.i.j")})
    assert yaml.safe_load(commented) == values
    assert commented.count("# about") == 8


def test_a_recipe_says_more_than_the_group_that_it_changes():
    comments = comments_of("train", {"model": "beta-vae", "optimizer": "adam", "trainer": "default", "network": None})
    assert comments["optimizer.lr"].startswith("low") and comments["trainer.clip"].startswith("maximum gradient norm")
    assert comments["data_dir"] and comments["dataset.pair"]
