# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names: of links, alternative ones, and those that a database of the host maps to numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ansible_collections.patchbay.netdev.plugins.module_utils._model._errors import InvalidValue
from ansible_collections.patchbay.netdev.plugins.module_utils._values._base import Text, Type
from ansible_collections.patchbay.netdev.plugins.module_utils._values._numbers import Integer

_MAXIMUM = 15  # bytes: IFNAMSIZ without the NUL


@dataclass(frozen=True)
class LinkName(Type):
    """The name of a link. `empty`: what the empty text means, where it may be written.

    or_altname: of an existing link, so that a name that is too long for a link is an alternative one.
    """

    empty: bool = False
    or_altname: bool = False

    def parse(self, value: Any) -> str:
        """The name; what the kernel would refuse, or bend into another name, is refused."""
        name = str(value)
        if not name and self.empty:
            return ""
        if self.or_altname and len(name.encode()) > _MAXIMUM:
            return AltName().parse(name)
        flaw = _flaw_of_name(name)
        if flaw:
            raise InvalidValue(f"{name!r} cannot be the name of a link: {flaw}")
        return name


def _flaw_of_name(name: str) -> str | None:
    if not name:
        return "it is empty"
    if len(name.encode()) > _MAXIMUM:
        return f"it has {len(name.encode())} bytes, but the kernel allows at most {_MAXIMUM}"
    if name in (".", ".."):
        return "it would be another directory in /sys and /proc"
    if name in ("all", "default"):
        return "the kernel reserves it for the settings of all links or of new ones (/proc/sys/net/ipv4/conf)"
    if "%" in name:
        return 'the kernel treats "%" as a template and would create another name'
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
class Reference(Type):
    """Another link; normal form: its LinkKey."""

    def returned(self, value: Any) -> Any:
        """The name alone; where it is stands beside it."""
        return value.name if value else value


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
