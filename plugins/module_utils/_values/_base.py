# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every type of option value can do: read what a user writes into one normal form, compare, describe.

`parse` raises InvalidValue with a sentence that does not name the option: the caller knows which option it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Optional

from ansible_collections.patchbay.netdev.plugins.module_utils._model._errors import InvalidValue

Difference = Optional[tuple[Any, Any]]  # (what is, what is to be), None when nothing has to change


class Type:
    """One kind of value."""

    def argument(self) -> dict[str, Any]:
        """Its part of an Ansible argument specification."""
        return {"type": "str"}

    def parse(self, value: Any) -> Any:
        """The normal form; InvalidValue says what is wrong and what to write instead."""
        return value

    def difference(self, current: Any, desired: Any) -> Difference:
        """What has to change; a current value of None is not known, and so differs from everything."""
        return None if current == desired else (current, desired)

    def describe(self, value: Any) -> str:
        """The value as it stands in a sentence."""
        if isinstance(value, bool):
            return "true" if value else "false"
        return '""' if value == "" else str(value)

    def change(self, current: Any, desired: Any) -> str:
        """A change as it stands in a sentence; a current value of None is not known."""
        return self.describe(desired) if current is None else f"{self.describe(current)} -> {self.describe(desired)}"

    def returned(self, value: Any) -> Any:
        """The value as it stands in a result (made of what JSON has)."""
        return value

    def saved(self, value: Any) -> Any:
        """The value as it stands in a declaration (made of what JSON has): `parse` reads it back."""
        return self.returned(value)

    def compared(self, value: Any) -> Any:
        """The value as it stands in a diff (made of what JSON has)."""
        return self.returned(value)

    def encoded(self, value: Any) -> Any:
        """The value as it stands in a netlink message."""
        return value

    def decoded(self, value: Any) -> Any:
        """The normal form of what stands in a netlink message."""
        return value


@dataclass(frozen=True)
class Boolean(Type):
    """True or false."""

    def argument(self) -> dict[str, Any]:
        """A bool."""
        return {"type": "bool"}

    def encoded(self, value: Any) -> int:
        """1 or 0."""
        return int(value)

    def decoded(self, value: Any) -> bool:
        """Whatever is not 0."""
        return bool(value)


@dataclass(frozen=True)
class Choice(Type):
    """One of some words, each with the number that stands for it in a netlink message."""

    codes: Mapping[str, int]
    settable: tuple[str, ...] = ()  # those that a user may write, when the kernel has more that it sets itself

    def argument(self) -> dict[str, Any]:
        """The choices as Ansible checks them."""
        return {"type": "str", "choices": list(self.settable or self.codes)}

    def encoded(self, value: Any) -> int:
        """The number."""
        return int(self.codes[value])

    def decoded(self, value: Any) -> str | None:
        """The word for a number; None for one that the kernel has and this table has not."""
        return next((word for word, number in self.codes.items() if number == value), None)


@dataclass(frozen=True)
class Text(Type):
    """Free text, counted in bytes as the kernel counts."""

    maximum: int

    def parse(self, value: Any) -> str:
        """The text."""
        size = len(value.encode())
        if size > self.maximum:
            raise InvalidValue(f"it has {size} bytes, but the kernel allows at most {self.maximum}")
        if "\0" in value:
            raise InvalidValue("it contains a NUL byte, where the kernel would cut it off")
        return str(value)


@dataclass(frozen=True)
class SetOf(Type):
    """Several values without order; normal form: a sorted tuple. Nothing written is managed as nothing: an empty set."""

    item: Type
    maximum: int = 0  # 0: no bound

    def argument(self) -> dict[str, Any]:
        """A list of what the item is."""
        return {"type": "list", "elements": self.item.argument()["type"]}

    def parse(self, value: Any) -> tuple[Any, ...]:
        """The set; values that are written twice count once."""
        parsed = tuple(sorted({self.item.parse(item) for item in value}))
        if self.maximum and len(parsed) > self.maximum:
            raise InvalidValue(f"it has {len(parsed)} entries, more than {self.maximum}")
        return parsed

    def describe(self, value: Any) -> str:
        """The values in brackets."""
        return f"[{', '.join(self.item.describe(item) for item in value)}]"

    def returned(self, value: Any) -> Any:
        """A sorted list."""
        return list(value)
