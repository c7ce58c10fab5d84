"""The benchmark is fair and sound: equal networks, equal batches, turns that are counted right, tables that hold it."""

import json
import os
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from bench import plain, report, sampling, turns
from bench.breakdown import WARM_UP, Stopwatch, share_outside
from bench.measure import Course, Row
from bench.plain import Settings
from bench.turns import Score, Turn, race, race_beside, strangers_seconds
from bench.workloads import WORKLOADS

from genlab.config.build import build_model, build_source


@pytest.mark.parametrize("name", WORKLOADS)
def test_both_train_the_same_network_on_the_same_batches(name):
    config, workload = Course(WORKLOADS[name]).config, WORKLOADS[name]
    with torch.device("meta"):
        model, players = build_model(config, build_source(config.dataset).spec), workload.players(Settings())

    def sizes(modules) -> list[int]:
        return sorted(sum(parameter.numel() for parameter in module.parameters()) for module in modules)

    if name == "unet":
        own = (model.network,)
    else:
        own = model.players().values() if len(model.players()) == 2 else (model.encoder, model.decoder)
    assert sizes(own) == sizes(players)
    assert config.trainer.batch_size == workload.batch_size
    assert model.data.shape[1] == workload.size
    lr, momentum = (1e-3, 0.9) if len(model.players()) == 1 else (2e-4, 0.5)
    lr = 2e-3 if name == "unet" else lr
    expected = {"_target_": "torch.optim.Adam", "lr": lr, "betas": [momentum, 0.999], "eps": 1e-8, "weight_decay": 0}
    assert expected.items() <= config.optimizer.items()
    assert all(settings["lr"] == lr for settings in config.optimizer["players"].values())
    assert config.schedule["_target_"].endswith("Constant")
    assert config.trainer.ema is config.trainer.validate_every is config.trainer.clip is None


@pytest.mark.parametrize("name", ["burgess", "cgan", "dcgan32", "cyclegan@64", "unet"])
def test_a_plain_step_moves_all_players(name):
    players = WORKLOADS[name].players(Settings())
    before = [torch.cat([p.detach().flatten() for p in player.parameters()]) for player in players]
    side = WORKLOADS[name].size if name == "unet" else 32
    images = torch.randint(256, (4, 3 if name == "cyclegan@64" else 1, side, side), dtype=torch.uint8)
    one, other = (plain.batches(images, torch.arange(4), 2, Settings()) for _ in range(2))
    if name == "burgess":
        step = plain.vae(players, one, Settings())
    elif name == "unet":
        step = plain.flow_matching(players, one, Settings())
    elif name == "cyclegan@64":
        step = plain.cyclegan(players, one, other, Settings())
    else:
        step = plain.gan(players, one, Settings(), plain.least_squares, conditional=name == "cgan")
    step()
    for player, weights in zip(players, before, strict=True):
        assert not torch.equal(torch.cat([p.detach().flatten() for p in player.parameters()]), weights)


def test_contestants_take_turns(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(plain.__file__).parents[1]))
    toys = {"quick": ["bench.toy", "5"], "slow": ["bench.toy", "20"]}
    scores = race(toys, tmp_path, rounds=2, seconds=0.2, launches=1)
    quick, slow = scores["quick"], scores["slow"]
    assert [len(score.turns) for score in scores.values()] == [2, 2]
    assert all(turn.seconds >= 0.2 and turn.peak_bytes > 2**20 for turn in quick.turns)
    assert 100 < quick.overall_rate <= 200
    assert all(2 < ratio < 6 for ratio in quick.over(slow))
    assert all(0 < score.start_ups[0] < 60 for score in scores.values())


def test_a_contestant_that_dies_is_told_of(tmp_path):
    with pytest.raises(RuntimeError, match=r"doomed: ended with code 1\n.*no_such_module"):
        race({"doomed": ["no_such_module", "x"]}, tmp_path, rounds=1, seconds=0.1, launches=1)


def test_strangers_disturb_and_contestants_do_not():
    busy = "while True: pass"
    with subprocess.Popen([sys.executable, "-c", busy], start_new_session=True) as process:
        try:
            before = strangers_seconds({process.pid}), strangers_seconds(set())
            time.sleep(1)
            after = strangers_seconds({process.pid}), strangers_seconds(set())
        finally:
            process.kill()
    assert (after[1] - before[1]) - (after[0] - before[0]) > 0.2


def test_a_breakdown_adds_up():
    watch = Stopwatch()
    nap = watch.around("backward", time.sleep)
    for _ in range(WARM_UP + 5):
        nap(0.004)
        time.sleep(0.001)
        watch.stepped()
    milliseconds = watch.milliseconds()
    assert milliseconds["backward"] >= 4
    assert milliseconds["loop"] >= 1
    assert milliseconds["step"] == pytest.approx(milliseconds["backward"] + milliseconds["loop"])
    assert share_outside(milliseconds) == pytest.approx(milliseconds["loop"] / milliseconds["step"])


def test_the_tables_hold_what_was_measured():
    def score(*steps: int) -> Score:
        return Score("contestant", [2.0, 4.0, 3.0], [Turn(count, 2.0, 100 * 2**20) for count in steps])

    row = Row(WORKLOADS["vae_mlp"], Settings("bf16"), score(90, 100, 120), score(100, 100, 100), None, 10**9, 10**11)
    cells = dict(zip(*report.comparison([row]), strict=True))
    assert cells["GenLab img/s"] == "6,400"
    assert cells["GenLab / plain"] == "1.00 [0.90, 1.20]"
    assert cells["over all turns"] == "1.03"
    assert cells["usual img/s"] == "skipped"
    assert cells["start-up s"] == "3.0 / 3.0"
    assert cells["memory MiB"] == "100 / 100"
    assert cells["of ceiling"] == "50 %"
    assert report.markdown(report.comparison([row])).count("\n") == 2
    assert "6,400" in report.plain(report.comparison([row]))
    assert torch.__version__ in report.head("scripts/bench")
    assert json.loads(json.dumps(asdict(row.genlab)))["turns"][0]["steps"] == 90


def test_the_cost_of_logging_is_what_is_lost():
    telling = Score("telling", [], [Turn(95, 1.0, 0), Turn(97, 1.0, 0)])
    silent = Score("silent", [], [Turn(100, 1.0, 0), Turn(100, 1.0, 0)])
    _, line = report.logging([("vae_mlp", "fp32", telling, silent)])
    assert line == ("vae_mlp", "fp32", "96.0", "100.0", "4.0 %", "0.960 [0.950, 0.970]")


def test_a_neighbour_takes_part_of_the_machine(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(plain.__file__).parents[1]))
    monkeypatch.setattr(turns, "ATTEMPTS", 1)
    scores = race_beside({"on": ["bench.toy", "5"], "off": ["bench.toy", "5"]}, tmp_path, rounds=2, seconds=0.1)
    assert all(len(score.turns) == 2 for pair in scores.values() for score in pair)
    costs = [("vae_mlp", "fp32", spin, *pair) for spin, pair in scores.items()]
    assert [line[2] for line in report.neighbour(costs)] == ["device.spin", "on", "off"]
    before = strangers_seconds(set())
    with turns._busy() as session:
        time.sleep(0.2)
        assert strangers_seconds(set()) - before > 0.05
        assert os.getsid(session) == session
    with pytest.raises(ProcessLookupError):
        os.getsid(session)


def test_the_cost_of_a_neighbour_is_what_is_lost():
    alone = Score("alone", [], [Turn(100, 1.0, 0), Turn(100, 1.0, 0)])
    beside = Score("beside", [], [Turn(25, 1.0, 0), Turn(50, 1.0, 0, disturbed=True)])
    _, line = report.neighbour([("vae_mlp", "bf16", "on", alone, beside)])
    assert line == ("vae_mlp", "bf16", "on", "100.0", "37.5", "0.38 [0.25, 0.50], 1 disturbed")


def test_ways_to_sample_give_the_same_images():
    *_, ratio, equal = sampling.raced("fvsbn", images=2, rounds=1)
    assert equal == "yes" and "[" in ratio
