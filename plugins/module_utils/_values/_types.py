# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The types of option values: each reads what a user writes into one normal form, compares, and says a value.

`parse` raises InvalidValue with a sentence that does not name the option: the caller knows where the value was written.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Optional

from ansible_collections.patchbay.netdev.plugins.module_utils._model._errors import InvalidValue
from ansible_collections.patchbay.netdev.plugins.module_utils._model._ip import AF, BITS, family_of, network

Difference = Optional[tuple[Any, Any]]  # (what is, what is to be), None when nothing has to change


class Type:
    """One kind of value."""

    def argument(self) -> dict[str, Any]:
        """Its part of an Ansible argument specification."""
        return {"type": "str"}

    def parse(self, value: Any) -> Any:
        """The normal form; InvalidValue says what is wrong and what to write instead."""
        return value

    def difference(self, current: Any, wanted: Any) -> Difference:
        """What has to change; a current value of None is not known, and so differs from everything."""
        return None if current == wanted else (current, wanted)

    def describe(self, value: Any) -> str:
        """The value as it stands in a sentence."""
        if isinstance(value, bool):
            return "true" if value else "false"
        return '""' if value == "" else str(value)

    def change(self, current: Any, wanted: Any) -> str:
        """A change as it stands in a sentence; a current value of None is not known."""
        return self.describe(wanted) if current is None else f"{self.describe(current)} -> {self.describe(wanted)}"

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
    offered: tuple[str, ...] = ()  # those that a user may write, when the kernel has more that it sets itself

    def argument(self) -> dict[str, Any]:
        """The choices as Ansible checks them."""
        return {"type": "str", "choices": list(self.offered or self.codes)}

    def encoded(self, value: Any) -> int:
        """The number."""
        return int(self.codes[value])

    def decoded(self, value: Any) -> str | None:
        """The word for a number; None for one that the kernel has and this table has not."""
        return next((word for word, number in self.codes.items() if number == value), None)


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
            raise InvalidValue(f"{value:#x} has bits of {self.never:#x}, which the kernel keeps for itself")
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

    def difference(self, current: Any, wanted: Any) -> Difference:
        """None within a hundredth: the kernel counts in ticks of its own and rounds."""
        same = current == wanted or (current is not None and abs(current - wanted) <= 1)
        return None if same else (current, wanted)

    def describe(self, value: Any) -> str:
        """Seconds."""
        return f"{value / 100:g}"

    def returned(self, value: Any) -> Any:
        """Seconds."""
        return value / 100


@dataclass(frozen=True)
class Text(Type):
    """Free text, counted in bytes as the kernel counts."""

    most: int

    def parse(self, value: Any) -> str:
        """The text."""
        size = len(value.encode())
        if size > self.most:
            raise InvalidValue(f"it has {size} bytes, the kernel takes {self.most}")
        if "\0" in value:
            raise InvalidValue("it contains a NUL byte, which the kernel takes for its end")
        return str(value)


@dataclass(frozen=True)
class LinkName(Type):
    """The name of a link. `empty`: what the empty text means, where it may be written."""

    empty: bool = False

    def parse(self, value: Any) -> str:
        """The name; what the kernel would refuse, or bend into another name, is refused."""
        name = str(value)
        if not name and self.empty:
            return ""
        found = _flaw_of_name(name)
        if found:
            raise InvalidValue(f"{name!r} cannot be the name of a link: {found}")
        return name


def _flaw_of_name(name: str) -> str | None:
    if not name:
        return "it is empty"
    if len(name.encode()) > 15:
        return f"it has {len(name.encode())} bytes, the kernel takes 15"
    if name in (".", ".."):
        return "it would be a directory of its own under /sys and /proc"
    if name in ("all", "default"):
        return "the kernel keeps it for settings of all or of new links (/proc/sys/net/ipv4/conf)"
    if "%" in name:
        return 'the kernel takes "%" for a template and would make another name of it'
    if "/" in name or ":" in name:
        return f'the kernel refuses "{"/" if "/" in name else ":"}"'
    if any(character.isspace() for character in name):
        return "it contains white space"
    if any(ord(character) < 32 or ord(character) == 127 for character in name):
        return "it contains a control character"
    return None


@dataclass(frozen=True)
class AltName(Type):
    """An alternative name of a link: up to 127 bytes."""

    def parse(self, value: Any) -> str:
        """The name."""
        name = Text(127).parse(value)
        if not name or any(ord(character) < 32 for character in name):
            raise InvalidValue(f"{name!r} cannot be an alternative name: it is empty or contains a control character")
        return name


@dataclass(frozen=True)
class Mac(Type):
    """A unicast MAC address; normal form: lower case with colons."""

    def parse(self, value: Any) -> str:
        """The address from `00:16:3e:11:11:01`, `00-16-3E-11-11-01`, `0016.3e11.1101` or `00163e111101`."""
        text = str(value).strip()
        if re.fullmatch(r"\d{1,11}", text):
            raise InvalidValue(f"{text} is a number: YAML reads an unquoted {_sexagesimal(int(text))} so; quote it")
        digits = re.sub(r"[:.-]", "", text).lower()
        grouped = re.fullmatch(
            r"([0-9a-f]{2}([:-]))([0-9a-f]{2}\2){4}[0-9a-f]{2}|([0-9a-f]{4}\.){2}[0-9a-f]{4}|[0-9a-f]{12}", text.lower()
        )
        if not grouped:
            raise InvalidValue(f"{text!r} is not a MAC address such as 00:16:3e:11:11:01")
        address = ":".join(digits[i : i + 2] for i in range(0, 12, 2))
        if address == "00:00:00:00:00:00":
            raise InvalidValue(f"{address} is no address")
        if int(digits[:2], 16) & 1:
            raise InvalidValue(
                f"{address} is a multicast address (the lowest bit of its first octet is set); a link needs a unicast one"
            )
        return address


def _sexagesimal(number: int) -> str:
    parts: list[int] = []
    for _place in range(5):
        number, part = divmod(number, 60)
        parts.insert(0, part)
    return ":".join(f"{part:02d}" for part in [number, *parts])


@dataclass(frozen=True)
class SetOf(Type):
    """Several values without order; normal form: a sorted tuple. Nothing written is managed as nothing: an empty set."""

    item: Type
    most: int = 0  # 0: no bound

    def argument(self) -> dict[str, Any]:
        """A list of what the item is."""
        return {"type": "list", "elements": self.item.argument()["type"]}

    def parse(self, value: Any) -> tuple[Any, ...]:
        """The set; values that are written twice count once."""
        found = tuple(sorted({self.item.parse(item) for item in value}))
        if self.most and len(found) > self.most:
            raise InvalidValue(f"it has {len(found)} entries, more than {self.most}")
        return found

    def describe(self, value: Any) -> str:
        """The values in brackets."""
        return f"[{', '.join(self.item.describe(item) for item in value)}]"

    def returned(self, value: Any) -> Any:
        """A sorted list."""
        return list(value)


@dataclass(frozen=True)
class NameOrNumber(Type):
    """A number, or a name that the gateway looks up; normal form: the number. `database`: what the names are of."""

    database: str
    low: int = 0
    high: int = 0xFFFFFFFF

    def parse(self, value: Any) -> Any:
        """The number, or the name as it was written."""
        text = str(value)
        if not (text.isascii() and text.isdigit()):
            return text
        return Integer(self.low, self.high).parse(int(text))


LINK_GROUP, USER, USER_GROUP, TABLE = (NameOrNumber(database) for database in ("link group", "user", "group", "routing table"))
PROTOCOL = NameOrNumber("protocol", 1, 255)  # 0 is hop-by-hop options, and in a rule the kernel takes it for none


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
            raise InvalidValue(f"{value!r} is no octal mode such as '0660'")
        return int(text, 8)

    def describe(self, value: Any) -> str:
        """Four octal digits."""
        return f"{value:04o}"

    def returned(self, value: Any) -> Any:
        """Four octal digits."""
        return self.describe(value)


@dataclass(frozen=True)
class Reference(Type):
    """Another link; normal form: its LinkKey."""

    def returned(self, value: Any) -> Any:
        """The name alone; where it is stands beside it."""
        return value.name if value else value


def ip_interface(value: Any) -> tuple[str, int]:
    """(address, prefix length) of `192.0.2.1/24`, for a link to have; InvalidValue for what the kernel takes and never uses."""
    text = str(value).strip()
    if "/" not in text:
        raise InvalidValue(f"{text!r} has no prefix length, such as the 24 of 192.0.2.1/24")
    ip, length = _split(text)
    found = ipaddress.ip_address(ip)
    if found.is_unspecified or found.is_multicast or (found.version == 4 and (int(found) >> 24 == 0 or int(found) >> 28 == 15)):
        raise InvalidValue(f"{ip} cannot be the address of a link")
    return ip, length


def _split(text: str) -> tuple[str, int]:
    ip, _slash, length = text.partition("/")
    ip = Ip().parse(ip)
    bits = BITS[family_of(ip)]
    if not re.fullmatch(r"\d{1,3}", length or str(bits)) or int(length or bits) > bits:
        raise InvalidValue(f"{text!r} has no prefix length between 0 and {bits}")
    return ip, int(length or bits)


@dataclass(frozen=True)
class Ip(Type):
    """An IP address; normal form: as inet_ntop writes it."""

    def parse(self, value: Any) -> str:
        """The address. `010.1.2.3` is refused: some take it for octal, and some do not."""
        text = str(value).strip()
        try:
            found = ipaddress.ip_address(text)
        except ValueError as error:
            raise InvalidValue(f"{text!r} is not an IP address") from error
        if (found.version == 4 and re.search(r"(^|\.)0\d", text)) or "%" in text:
            raise InvalidValue(f"{text!r} is not an IP address: write it without leading zeros and without a zone")
        return socket.inet_ntop(AF[found.version], found.packed)


@dataclass(frozen=True)
class Network(Type):
    """A network, or one address of 32 or 128 bits, or `default`; normal form: `192.0.2.0/24`, and "default" until it is known
    of which family."""

    def parse(self, value: Any) -> str:
        """The network; one with host bits is refused, for some of the kernel drops them and some keeps them."""
        text = str(value).strip()
        if text in ("default", "all", "any"):
            return "default"
        ip, length = _split(text)
        if network(ip, length) != f"{ip}/{length}":
            raise InvalidValue(f"{text} has bits set behind its prefix length; the network is {network(ip, length)}")
        return f"{ip}/{length}"


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
            raise InvalidValue(f"{value!r} ends before it begins")
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
            raise InvalidValue(f"{text}: a mask of 0 fits every mark. Leave it out")
        return mark, mask

    def describe(self, value: Any) -> str:
        """Hexadecimal."""
        mark, mask = value
        return f"{mark:#x}" if mask == 0xFFFFFFFF else f"{mark:#x}/{mask:#x}"

    def returned(self, value: Any) -> Any:
        """Hexadecimal."""
        return self.describe(value)
