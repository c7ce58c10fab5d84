"""What images are compared by: pixels, the classifier of their own labels, Inception features."""

import hashlib
import io
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from unittest import mock
from urllib.error import URLError

import pytest
import torch
from together import together
from torch.nn.functional import avg_pool2d

from genlab.contract.data import Field, image_spec
from genlab.data.digits import Digits
from genlab.data.points import Ring
from genlab.data.source import ArrayExamples
from genlab.evaluation.controls import choose_extractor
from genlab.evaluation.features import make_extractor, read_table
from genlab.evaluation.inception import Inception


@pytest.fixture(autouse=True)
def alone(tmp_path, monkeypatch):
    """No weights of other tests, and no network."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(torch.hub, "download_url_to_file", mock.Mock(side_effect=URLError("no such host")))


def test_pixels_are_the_images_and_large_ones_are_averaged():
    pixels = make_extractor("pixels")
    x = torch.rand(3, 2, 10, 12)
    assert torch.equal(pixels(x), x.flatten(1))
    large = torch.rand(3, 3, 64, 20)
    torch.testing.assert_close(pixels(large), large.view(3, 3, 32, 2, 20).mean(3).flatten(1))
    assert pixels.num_classes == 0 and pixels.read(x).probabilities.shape == (3, 0)
    assert pixels.identity == make_extractor("pixels").identity


def test_the_classifier_gives_features_and_probabilities_in_chunks_of_any_size(monkeypatch):
    source = Digits(size=8)
    reader = make_extractor("classifier", source)
    (table,) = source.open("validation")
    x, y = table.load()["x"] / 255, table.load()["label"]
    features, probabilities = reader.read(x)
    assert features.shape == (len(x), 64)
    assert features.dtype == probabilities.dtype == torch.float32
    torch.testing.assert_close(probabilities.sum(1), torch.ones(len(x)))
    with pytest.raises(ValueError, match=r"reads images \[1, 8, 8\], not \[3, 8, 8\]"):
        reader(torch.rand(2, 3, 8, 8))
    assert (probabilities.argmax(1) == y).double().mean().item() == pytest.approx(reader.accuracy)
    assert f"accuracy {reader.accuracy:.4f}" in reader.description
    monkeypatch.setattr(type(reader), "batch", 7)
    torch.testing.assert_close(reader(x), features)
    assert not features.requires_grad


def test_random_filters_see_blur_and_noise_and_take_grey_for_colour():
    source = Digits(size=16)
    reader = make_extractor("random-conv", source)
    x = source.open("validation")[0].load()["x"] / 255
    features = reader(x)
    assert features.shape == (len(x), 64) and features.mean().abs() < 0.2 and 0.5 < features.std() < 2
    blurred, noisy = (reader(y)[:, 16:].mean() for y in (avg_pool2d(x, 3, 1, 1), (x + torch.rand_like(x) / 2)))
    assert blurred < features[:, 16:].mean() - 0.5 < noisy - 1, "responses fall and rise"
    assert make_extractor("random-conv", source, seed=1).identity != reader.identity
    with pytest.raises(ValueError, match="images of 1 channels, and these have 3"):
        reader(torch.rand(1, 3, 16, 16))
    colour = SimpleNamespace(spec=image_spec((3, 6, 5)), open=lambda split: [ArrayExamples(x=torch.zeros(9, 3, 6, 5))])
    reader = make_extractor("random-conv", colour)
    grey = torch.rand(2, 1, 6, 5)
    assert torch.equal(reader(grey), reader(grey.repeat(1, 3, 1, 1)))


def test_points_are_read_by_their_values_alone():
    source = Ring(num_train=10, num_validation=2)
    assert choose_extractor("auto", source, "cpu").extractor.name == "values"
    for name in ("pixels", "classifier", "inception"):
        with pytest.raises(ValueError, match=f"extractor={name}: does not read points"):
            make_extractor(name, source)
    with pytest.raises(ValueError, match="extractor=values: does not read images"):
        make_extractor("values", Digits(size=8))
    with pytest.raises(ValueError, match="extractor=sounds: no such extractor"):
        make_extractor("sounds", source)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_images_of_a_diverged_run_are_refused(value):
    with pytest.raises(ValueError, match="not finite: has the run diverged"):
        make_extractor("pixels")(torch.full((1, 1, 8, 8), value))


def test_what_does_not_exist_or_has_nothing_to_learn_from_is_refused():
    with pytest.raises(ValueError, match="extractor=vgg: no such extractor"):
        make_extractor("vgg")
    for name in ("classifier", "random-conv"):
        with pytest.raises(ValueError, match=rf"extractor={name}: .* give dataset="):
            make_extractor(name)


GREY = Field("image", (1, 8, 8))


def test_a_table_is_read_in_chunks_in_the_order_asked_for():
    table = ArrayExamples(x=torch.arange(10, dtype=torch.uint8)[:, None, None, None].expand(10, 1, 8, 8))
    pixels = make_extractor("pixels")
    chunks = [(reading.features[:, 0] * 255).round() for reading in read_table(table, pixels, GREY, chunk=4)]
    assert [chunk.tolist() for chunk in chunks] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    (chosen,) = read_table(table, pixels, GREY, torch.tensor([7, 2]))
    torch.testing.assert_close(chosen.features[:, 0] * 255, torch.tensor([7.0, 2.0]))


def test_what_inception_lacks_is_named_with_its_place_and_the_alternatives(monkeypatch):
    pytest.importorskip("torch_fidelity")
    with pytest.raises(ValueError, match=r"no such host.*extractor=classifier or extractor=pixels$") as refusal:
        make_extractor("inception")
    for part in (Inception.url, Inception.identity, str(Path(torch.hub.get_dir(), "checkpoints"))):
        assert part in str(refusal.value)
    monkeypatch.setitem(sys.modules, "torch_fidelity", None)
    with pytest.raises(ValueError, match=r"pip install 'genlab\[inception\]', or use extractor=classifier"):
        make_extractor("inception")


def test_jobs_that_start_together_download_once_and_no_other_file_is_loaded_as_the_weights(tmp_path, monkeypatch):
    def download(url, place, **_):
        with Path(tmp_path, "log").open("a") as file:
            file.write("downloaded\n")
        time.sleep(0.3)
        Path(place).write_bytes(b"others than the published")

    monkeypatch.setattr(torch.hub, "download_url_to_file", download)
    never = mock.Mock(side_effect=AssertionError("it executes what a file says"))
    monkeypatch.setitem(sys.modules, "torch_fidelity", SimpleNamespace(FeatureExtractorInceptionV3=never))

    def refused():
        with pytest.raises(ValueError, match=rf"is not the published .* {Inception.identity}\); remove it"):
            make_extractor("inception")

    assert together(refused) == [None, None]
    assert Path(tmp_path, "log").read_text() == "downloaded\n"


def test_inception_reads_grey_as_colour_and_gives_its_published_layers(monkeypatch):
    fidelity = pytest.importorskip("torch_fidelity")
    empty = io.BytesIO()
    torch.save({}, empty)
    empty.seek(0)
    network = fidelity.FeatureExtractorInceptionV3
    torch.manual_seed(0)
    with mock.patch.object(network, "load_state_dict"):  # weights as drawn, in place of the published ones
        drawn = network("inception-v3-compat", ["2048"], feature_extractor_weights_path=empty)
    weights_file = Path(torch.hub.get_dir(), "checkpoints/weights-inception-2015-12-05-6726825d.pth")
    weights_file.parent.mkdir(parents=True)
    torch.save(drawn.state_dict(), weights_file)
    monkeypatch.setattr(Inception, "identity", hashlib.sha256(weights_file.read_bytes()).hexdigest())
    inception = make_extractor("inception")
    grey = torch.rand(2, 1, 12, 12)
    features, probabilities = inception.read(grey)
    assert (features.shape, probabilities.shape) == ((2, 2048), (2, 1008))
    torch.testing.assert_close(probabilities.sum(1), torch.ones(2))
    colour = (grey * 255).round().byte().repeat(1, 3, 1, 1)
    torch.testing.assert_close(features, drawn(colour)[0])
    with pytest.raises(ValueError, match="these have 2 channels"):
        inception(torch.rand(1, 2, 12, 12))
