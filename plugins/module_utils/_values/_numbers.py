# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Numbers: within bounds, as masks, times, ranges, firewall marks and file modes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from ansible_collections.patchbay.netdev.plugins.module_utils._model._errors import InvalidValue
from ansible_collections.patchbay.netdev.plugins.module_utils._values._base import Difference, Type


@dataclass(frozen=True)
class Integer(Type):
    """A whole number within bounds, both included."""

    low: int
    high: int

    def argument(self) -> dict[str, Any]:
        """An int, whose bounds are checked here."""
        return {"type": "int"}

    def parse(self, value: Any) -> int:
        """The number."""
        if not self.low <= value <= self.high:
            raise InvalidValue(f"{value} is not between {self.low} and {self.high}")
        return int(value)


@dataclass(frozen=True)
class Mask(Integer):
    """A whole number whose bits are switches; `never`: bits that the kernel refuses."""

    never: int = 0

    def parse(self, value: Any) -> int:
        """The number."""
        if value & self.never:
            raise InvalidValue(f"{value:#x} sets bits of {self.never:#x}, which the kernel reserves")
        return super().parse(value)


@dataclass(frozen=True)
class Seconds(Type):
    """A time, with decimals; normal form: hundredths of a second, as the kernel's clock_t."""

    low: float
    high: float

    def argument(self) -> dict[str, Any]:
        """A float."""
        return {"type": "float"}

    def parse(self, value: Any) -> int:
        """The hundredths."""
        if not self.low <= value <= self.high:
            raise InvalidValue(f"{value:g} is not between {self.low:g} and {self.high:g} seconds")
        return round(float(value) * 100)

    def difference(self, current: Any, desired: Any) -> Difference:
        """None within a hundredth: the kernel counts in ticks of its own and rounds."""
        same = current == desired or (current is not None and abs(current - desired) <= 1)
        return None if same else (current, desired)

    def describe(self, value: Any) -> str:
        """Seconds."""
        return f"{value / 100:g}"

    def returned(self, value: Any) -> Any:
        """Seconds."""
        return value / 100


@dataclass(frozen=True)
class Range(Type):
    """A number, or two with a dash between them; normal form: both as numbers."""

    low: int
    high: int

    def parse(self, value: Any) -> tuple[int, int]:
        """The first and the last."""
        match = re.fullmatch(r"(\d{1,10})(?:-(\d{1,10}))?", str(value).strip())
        if not match:
            raise InvalidValue(f"{value!r} is neither a number nor a range such as 1000-1999")
        first, last = int(match[1]), int(match[2] or match[1])
        for number in (first, last):
            Integer(self.low, self.high).parse(number)
        if last < first:
            raise InvalidValue(f"{value!r} has its end before its start")
        return first, last

    def describe(self, value: Any) -> str:
        """As it is written."""
        return str(value[0]) if value[0] == value[1] else f"{value[0]}-{value[1]}"

    def returned(self, value: Any) -> Any:
        """As it is written."""
        return self.describe(value)


@dataclass(frozen=True)
class Fwmark(Type):
    """A firewall mark, with a mask or without: `0x1`, `0x1/0xff`; normal form: both as numbers."""

    def parse(self, value: Any) -> tuple[int, int]:
        """The mark and the mask."""
        text = str(value).strip()
        number = r"(0x[0-9a-fA-F]{1,8}|0|[1-9]\d{0,9})"
        match = re.fullmatch(f"{number}(?:/{number})?", text)
        if not match:
            raise InvalidValue(f"{text!r} is not a mark such as 0x1 or 0x1/0xff")
        mark, mask = (Integer(0, 0xFFFFFFFF).parse(int(part, 0)) for part in (match[1], match[2] or "0xffffffff"))
        if not mask:
            raise InvalidValue(f"{text}: a mask of 0 matches every mark. Omit it")
        return mark, mask

    def describe(self, value: Any) -> str:
        """Hexadecimal."""
        mark, mask = value
        return f"{mark:#x}" if mask == 0xFFFFFFFF else f"{mark:#x}/{mask:#x}"

    def returned(self, value: Any) -> Any:
        """Hexadecimal."""
        return self.describe(value)


@dataclass(frozen=True)
class FileMode(Type):
    """The permissions of a file, in octal; normal form: the number."""

    def argument(self) -> dict[str, Any]:
        """A number or a text: YAML reads 0660 as one and "0660" as the other."""
        return {"type": "raw"}

    def parse(self, value: Any) -> int:
        """The number; a text is octal, as for chmod."""
        text = f"{value:o}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
        if not re.fullmatch(r"0*[0-7]{1,3}", text):
            raise InvalidValue(f"{value!r} is not an octal mode such as '0660'")
        return int(text, 8)

    def describe(self, value: Any) -> str:
        """Four octal digits."""
        return f"{value:04o}"

    def returned(self, value: Any) -> Any:
        """Four octal digits."""
        return self.describe(value)
