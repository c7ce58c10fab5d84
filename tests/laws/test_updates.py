"""An update moves its player and nobody else, leaves no gradients behind, and in time every weight is moved."""

import lab
import pytest

STEPS = 12


@pytest.mark.parametrize("case", [*lab.CASES, *lab.VARIANTS])
def test_players_share_out_the_parameters(case):
    trainer = lab.trainer(lab.compose(case, "trainer.batch_size=8"))
    owners = [id(p) for parameters in trainer.optimization.parameters.values() for p in parameters if p.requires_grad]
    assert len(owners) == len(set(owners)), "two players would move one weight"
    assert set(owners) == {id(p) for p in trainer.model.parameters() if p.requires_grad}, "nobody moves some weights"
    assert set(trainer.optimization.optimizers) == set(trainer.optimization.parameters)


@pytest.mark.parametrize("case", [*lab.CASES, *lab.VARIANTS])
def test_update_moves_its_player_alone(case):
    trainer = lab.trainer(lab.compose(case, "trainer.batch_size=8"))
    weights = dict(trainer.model.named_parameters())
    names = {
        player: {name for name, p in weights.items() if any(p is mine for mine in parameters)}
        for player, parameters in trainer.optimization.parameters.items()
    }
    start = lab.snapshot({name: p.detach() for name, p in weights.items() if p.requires_grad})
    before, active = {}, set()

    def remember(player):
        before.update({name: p.detach().clone() for name, p in weights.items()})
        strangers = {name for name, p in weights.items() if p.grad is not None} - names[player]
        assert not strangers, f"the update of {player} gave gradients to {strangers}"

    def compare(player):
        changed = lab.moved(before, weights)
        assert changed <= names[player], f"the update of {player} moved {changed - names[player]}"
        if changed:
            active.add(player)

    for player, optimizer in trainer.optimization.optimizers.items():
        optimizer.register_step_pre_hook(lambda *_, player=player: remember(player))
        optimizer.register_step_post_hook(lambda *_, player=player: compare(player))

    trainer.model.train()
    batches = trainer.train_loader.batches(8)
    for _ in range(STEPS):
        trainer.train_step(next(batches))
        assert not [name for name, p in weights.items() if p.grad is not None]
    assert active == set(trainer.optimization.parameters), "some player never moved"
    still = start.keys() - lab.moved(start, {name: weights[name] for name in start})
    assert not still, f"no update moves {still}: networks that nothing uses"
