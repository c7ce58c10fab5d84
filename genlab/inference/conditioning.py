"""What a model's samples are conditioned on, and the options of its `sample`: from a request, or by default."""

import inspect
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from genlab.config.check import unaccepted
from genlab.contract.data import Condition
from genlab.contract.model import GenerativeModel
from genlab.media.kinds import kind_of


@dataclass(frozen=True)
class Conditioning:
    """The conditions of `model`. name: the model's name, for messages."""

    model: GenerativeModel
    name: str

    def fixed(self, values: Mapping[str, Any] | None) -> Condition:
        """One row [*shape] by field, from values as on the command line; None is no value. `ValueError` with a line for
        each that the model is not conditioned on, or that is not valid."""
        problems: list[str] = []
        found = self._parsed(values or {}, problems)
        if problems:
            raise ValueError("\n".join(problems))
        return found

    def checked(self, values: Mapping[str, Any], sampling: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The values that are given (not None). `ValueError` with a line for each that is not valid, and for each of
        the options `sampling` that the model's `sample` does not have."""
        problems: list[str] = []
        self._parsed(values, problems)
        problems += self._sampling_problems(sampling or {})
        if problems:
            raise ValueError("\n".join(problems))
        return {name: value for name, value in values.items() if value is not None}

    def _parsed(self, values: Mapping[str, Any], problems: list[str]) -> Condition:
        found = {}
        for name, value in values.items():
            if value is None:
                continue
            if name not in self.model.conditions:
                known = ", ".join(self.model.conditions) or "nothing"
                problems.append(f"condition.{name}={value}: model {self.name} is conditioned on {known}")
                continue
            field = self.model.data[name]
            try:
                found[name] = kind_of(field).parse(field, value)
            except ValueError as error:
                problems.append(f"condition.{name}={value}: {error}")
        return found

    def varied(self, count: int, start: int = 0, values: Mapping[str, Any] | None = None) -> Condition:
        """The condition of samples `start` ... `start + count - 1`: the given values, and labels in turn for the rest.

        `ValueError` if a condition without a default is missing.
        """
        fixed, found = self.fixed(values), {}
        for name in self.model.conditions:
            field = self.model.data[name]
            if name in fixed:
                found[name] = fixed[name].expand(count, *field.shape)
            elif field.size and not field.shape:
                found[name] = torch.arange(start, start + count) % field.size
            else:
                raise ValueError(f"model {self.name} is conditioned on {name}; give it, as in condition.{name}=VALUE")
        return found

    def constant(self, count: int, values: Mapping[str, Any] | None = None) -> Condition:
        """The same condition for `count` examples: the given values, and label 0 for the rest."""
        return {name: value.expand(count, *value.shape[1:]) for name, value in self.varied(1, values=values).items()}

    def rows(self, count: int, condition: Mapping[str, Any] | None) -> Condition | None:
        """A condition from Python: by field a tensor with a row for each of `count` examples, or one value for all, as
        on the command line. `ValueError` if a value is not valid or the numbers differ."""
        if condition is None:
            return None
        single = {name: value for name, value in condition.items() if not isinstance(value, Tensor) or not value.ndim}
        plain = {name: value.item() if isinstance(value, Tensor) else value for name, value in single.items()}
        found = {name: value.expand(count, *value.shape) for name, value in self.fixed(plain).items()}
        for name in condition.keys() - single.keys():
            self.fixed(dict.fromkeys({name} - set(self.model.conditions), "..."))  # refuses what is no condition
            value, field = condition[name], self.model.data[name]
            if value.shape != (count, *field.shape):
                raise ValueError(f"condition.{name}: is of shape {list(value.shape)}, not {[count, *field.shape]}")
            if field.size and not (value.min() >= 0 and value.max() < field.size):
                raise ValueError(f"condition.{name}: this run knows the classes 0 to {field.size - 1}")
            found[name] = value
        return found

    def of_examples(self, count: int, values: Mapping[str, Any] | None, own: Condition | None) -> Condition | None:
        """The condition of `count` examples: the given values, else the examples' own; None if some are missing."""
        fixed = self.fixed(values)
        found = {name: fixed[name].expand(count, *fixed[name].shape) for name in fixed}
        found = {name: value for name, value in (own or {}).items() if name in self.model.conditions} | found
        return found if len(found) == len(self.model.conditions) else None

    def check_sampling(self, options: Mapping[str, Any]) -> None:
        """`ValueError` with a line for each option that the model's `sample` does not have, or of another type."""
        if problems := self._sampling_problems(options):
            raise ValueError("\n".join(problems))

    def _sampling_problems(self, options: Mapping[str, Any]) -> list[str]:
        sample = getattr(type(self.model), "sample", None)
        parameters = inspect.signature(sample).parameters.values() if sample else ()
        known = {p.name: p for p in parameters if p.kind is p.KEYWORD_ONLY}
        hints = typing.get_type_hints(sample) if sample else {}
        return list(unaccepted("sampling", f"model {self.name}", known, hints, options))
