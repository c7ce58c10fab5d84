"""One optimization step: applies the updates that a model yields, over micro-batches and processes."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn.utils import clip_grads_with_norm_, get_total_norm

from genlab.contract.data import Batch
from genlab.contract.model import GenerativeModel, Update
from genlab.contract.settings import DeviceConfig, TrainerConfig
from genlab.system import distributed
from genlab.system.device import autocast, memory_budget
from genlab.system.portions import Portions
from genlab.training.scalars import mean


class Optimization:
    """Runs autocast, backward passes, clipping and the optimizers of a model's players.

    records_graphs: whether `device.compile` runs the networks as CUDA graphs, whose outputs live until the next step.
    """

    def __init__(
        self,
        model: GenerativeModel,
        optimizers: dict[str, torch.optim.Optimizer],
        settings: TrainerConfig,
        device_settings: DeviceConfig,
        device: torch.device,
    ):
        self.model, self.optimizers, self.settings = model, optimizers, settings
        modules = model.players().items()
        self.parameters = {player: [p for p in module.parameters() if p.requires_grad] for player, module in modules}
        self.base_rates = {player: [group["lr"] for group in o.param_groups] for player, o in optimizers.items()}
        share = settings.batch_size // distributed.world()
        self.accumulation_steps = math.ceil(share / (device_settings.micro_batch or share))
        self.autocast = autocast(device, device_settings.precision)  # reused, but never nested
        self.portions = Portions(model, memory_budget(device, device_settings.memory_budget))  # for inference alone
        self.scaler = torch.amp.GradScaler(device.type, enabled=device_settings.precision == "fp16")
        self.records_graphs = device_settings.compile and device.type == "cuda"

    def make_step(self, batch: Batch, step: int, lr_factor: float) -> dict[str, Tensor]:
        """Set learning rates to `lr_factor` times their base and apply all updates; returns scalars to log."""
        if self.records_graphs:  # outputs of the last step may be overwritten from here on; those of this step may not
            torch.compiler.cudagraph_mark_step_begin()
        for player, optimizer in self.optimizers.items():
            for group, base in zip(optimizer.param_groups, self.base_rates[player], strict=True):
                group["lr"] = base * lr_factor
        # Gradient norms are slow compared with a small network's step.
        norm_is_due = self.settings.clip is not None or (step + 1) % self.settings.log_every == 0
        # All micro-batches advance in lockstep, update by update.
        parts = [batch] if self.accumulation_steps == 1 else batch.split(self.accumulation_steps)
        steps = [self.model.training_step(part, step) for part in parts]
        logged: dict[str, Tensor] = {}
        while updates := [update for step in steps if (update := self._backward(step)) is not None]:
            # A player's later updates in a step (lazy penalties) must not enter the mean of its loss.
            logged |= {name: value for name, value in self._apply(updates, norm_is_due).items() if name not in logged}
        return logged

    def _backward(self, updates: Iterator[Update]) -> Update | None:
        with self.autocast:
            update = next(updates, None)
        if update is not None:
            if update.player not in self.parameters:
                model = type(self.model).__name__
                raise ValueError(f"{model}: Update of {update.player}, but players() has {', '.join(self.parameters)}")
            loss = update.loss if self.accumulation_steps == 1 else update.loss / self.accumulation_steps
            self.scaler.scale(loss).backward(inputs=self.parameters[update.player])
        return update

    def _apply(self, updates: list[Update], norm_is_due: bool) -> dict[str, Tensor]:
        """Step the optimizer of the player that all micro-batches update; returns scalars to log."""
        player, optimizer = updates[0].player, self.optimizers[updates[0].player]
        parameters = self.parameters[player]
        if norm_is_due or distributed.world() > 1:
            gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
            distributed.average(gradients)
        if self.scaler.is_enabled():
            self.scaler.unscale_(optimizer)
        prefix = "" if len(self.parameters) == 1 else f"{player}/"
        scalars = {f"{prefix}loss": mean([update.loss for update in updates])}
        scalars |= {prefix + name: mean([update.log[name] for update in updates]) for name in updates[0].log}
        if norm_is_due:
            norm = get_total_norm(gradients)
            # The scaler skips float16 overflows, which are no divergence; that shows in the losses.
            scalars[f"gradient_norm/{player}"] = norm.nan_to_num(0, 0, 0) if self.scaler.is_enabled() else norm
            if self.settings.clip:
                clip_grads_with_norm_(parameters, self.settings.clip, norm)
        self.scaler.step(optimizer)
        self.scaler.update()
        for parameter in parameters:
            parameter.grad = None
        return scalars

    def rates(self) -> dict[str, float]:
        """The current learning rate of each player."""
        return {player: float(optimizer.param_groups[0]["lr"]) for player, optimizer in self.optimizers.items()}

    def state_dict(self) -> dict:
        optimizers = {player: optimizer.state_dict() for player, optimizer in self.optimizers.items()}
        return {"optimizer": optimizers, "scaler": self.scaler.state_dict()}

    def load_state_dict(self, state: dict) -> None:
        """Load what `state_dict` returned, also by way of a checkpoint; other entries are ignored."""
        for player, optimizer in self.optimizers.items():
            own = state["optimizer"][player]
            parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
            moments = {int(key): _laid_out(value, parameters[int(key)]) for key, value in own["state"].items()}
            optimizer.load_state_dict({**own, "state": moments})
        self.scaler.load_state_dict(state["scaler"])


def _laid_out(moments: dict[str, Tensor], parameter: Tensor) -> dict[str, Tensor]:
    """An optimizer's state of a parameter in the parameter's memory layout, which files do not keep."""
    return {
        name: torch.empty_like(parameter, dtype=value.dtype).copy_(value)
        if value.shape == parameter.shape
        else value.clone()
        for name, value in moments.items()
    }
