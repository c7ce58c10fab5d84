"""What a model's samples are conditioned on, and the options of its `sample`: from a request, or by default."""

import inspect
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from genlab.config.check import unaccepted
from genlab.contract.data import Condition, Field
from genlab.contract.model import GenerativeModel
from genlab.media.kinds import kind_of
from genlab.system.text import NUMBER


@dataclass(frozen=True)
class Conditioning:
    """The conditions of `model`. name: the model's name, for messages."""

    model: GenerativeModel
    name: str

    def checked(
        self,
        values: Mapping[str, Any],
        sampling: Mapping[str, Any] | None = None,
        several: bool = False,
        capability: str = "sample",
    ) -> dict[str, Any]:
        """The values that are given (not None). `ValueError` with a line for each that is not valid, and for each of
        the options `sampling` that the model's `capability` does not have.

        several: whether a list of them, for examples in turn, is valid where a field takes one.
        """
        problems: list[str] = []
        for name, value in values.items():
            self._read((several and self._is_list(name, value) and len(value)) or 1, {name: value}, problems)
        problems += self._sampling_problems(sampling or {}, capability)
        if problems:
            raise ValueError("\n".join(problems))
        return {name: value for name, value in values.items() if value is not None}

    def in_turn(self, count: int, values: Mapping[str, Any]) -> dict[str, Any]:
        """`values`, where a list for a field that takes one value becomes rows for `count` examples in turn."""
        lists = {name: value for name, value in values.items() if self._is_list(name, value) and 0 < len(value) < count}
        rows = {name: self.rows(len(value), {name: value})[name] for name, value in lists.items()}
        return {**values, **{name: found[torch.arange(count) % len(found)] for name, found in rows.items()}}

    def _is_list(self, name: str, value: Any) -> bool:
        return isinstance(value, list) and name in self.model.conditions and not self.model.data[name].shape

    def rows(self, count: int, values: Mapping[str, Any] | None) -> Condition:
        """By field a row for each of `count` examples, from rows (a tensor, an array or a list of `count` entries) or
        from one value for all, as on the command line; None is no value. `ValueError` with a line for each that the
        model is not conditioned on, or that is not valid.

        Where classes are called by numbers, such as 1 to 26, arrays and lists hold these, as the user's own labels do.
        Tensors hold GenLab's numbers from 0, as its batches do.
        """
        problems: list[str] = []
        found = self._read(count, values or {}, problems)
        if problems:
            raise ValueError("\n".join(problems))
        return found

    def _read(self, count: int, values: Mapping[str, Any], problems: list[str]) -> Condition:
        found = {}
        for name, value in values.items():
            if value is None:
                continue
            if name not in self.model.conditions:
                known = ", ".join(self.model.conditions) or "nothing; leave it out"
                problems.append(f"condition.{name}={value}: model {self.name} is conditioned on {known}")
                continue
            try:
                found[name] = _rows(self.model.data[name], value, count)
            except ValueError as error:
                problems.append(f"condition.{name}={' '.join(str(value).split())[:100]}: {error}")
        return found

    def varied(self, count: int, start: int = 0, values: Mapping[str, Any] | None = None) -> Condition:
        """The condition of samples `start` ... `start + count - 1`: the given values, and labels in turn for the rest.

        `ValueError` if a condition without a default is missing.
        """
        found = self.rows(count, values)
        for name in (name for name in self.model.conditions if name not in found):
            field = self.model.data[name]
            if not field.size or field.shape:
                raise ValueError(f"model {self.name} is conditioned on {name}; give it, as in condition.{name}=VALUE")
            found[name] = torch.arange(start, start + count) % field.size
        return found

    def constant(self, count: int, values: Mapping[str, Any] | None = None) -> Condition:
        """The same condition for `count` examples: the given values, and label 0 for the rest."""
        return {name: value.expand(count, *value.shape[1:]) for name, value in self.varied(1, values=values).items()}

    def of_examples(self, count: int, values: Mapping[str, Any] | None, own: Condition | None) -> Condition | None:
        """The condition of `count` examples: the given values, else the examples' own; None if there is nothing."""
        found = {name: value for name, value in (own or {}).items() if name in self.model.conditions}
        return found | self.rows(count, values) or None

    def check_sampling(self, options: Mapping[str, Any]) -> None:
        """`ValueError` with a line for each option that the model's `sample` does not have, or of another type."""
        if problems := self._sampling_problems(options, "sample"):
            raise ValueError("\n".join(problems))

    def _sampling_problems(self, options: Mapping[str, Any], capability: str) -> list[str]:
        sample = getattr(type(self.model), capability, None)
        parameters = inspect.signature(sample).parameters.values() if sample else ()
        known = {p.name: p for p in parameters if p.kind is p.KEYWORD_ONLY}
        hints = typing.get_type_hints(sample) if sample else {}
        return list(unaccepted("sampling", f"model {self.name}", known, hints, options))


def _parsed(field: Field, entry: Any) -> Tensor:
    """One entry of a list. `ValueError` that names it."""
    try:
        return kind_of(field).parse(field, entry)
    except ValueError as error:
        raise ValueError(f"{entry}: {error}") from error


def _rows(field: Field, value: Any, count: int) -> Tensor:
    """Rows [count, *shape] of a field, from rows or from one value for all. `ValueError` if it is neither."""
    numeric = any(map(NUMBER.fullmatch, field.names or ()))  # a name comes before a position
    if isinstance(value, (np.ndarray, np.generic)) and not field.shape:
        value = value.tolist()
    if isinstance(value, list) and not field.shape and value and (numeric or any(isinstance(v, str) for v in value)):
        rows = torch.stack([_parsed(field, entry) for entry in value])
    elif isinstance(value, (np.ndarray, np.generic, Tensor)) or (isinstance(value, list) and not field.shape):
        rows = torch.as_tensor(value)
    elif isinstance(value, list) and value and isinstance(value[0], list):
        rows = torch.tensor(value)
    else:
        return kind_of(field).parse(field, value).expand(count, *field.shape)
    if rows.shape == field.shape and not field.shape:
        rows = rows.expand(count)
    elif rows.shape == field.shape:
        return kind_of(field).parse(field, rows.tolist()).expand(count, *field.shape)
    if rows.shape != (count, *field.shape) and isinstance(value, list) and count == 1:
        raise ValueError("give one value")
    if rows.shape != (count, *field.shape):
        raise ValueError(f"rows of shape {list(rows.shape)}, not {[count, *field.shape]}")
    if not field.size:
        return rows.to(torch.get_default_dtype())
    if rows.is_floating_point() or rows.is_complex() or rows.dtype == torch.bool:
        raise ValueError(f"classes are whole numbers, not {str(rows.dtype).removeprefix('torch.')}")
    if len(rows) and not 0 <= rows.min() <= rows.max() < field.size:
        raise ValueError(f"this run knows the classes 0 to {field.size - 1}")
    return rows.long()
