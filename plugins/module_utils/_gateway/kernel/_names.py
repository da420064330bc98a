# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The numbers of groups of links, routing tables, users and protocols, by the names that this host has for them."""

from __future__ import annotations

import functools
import glob
import grp
import pwd
import socket

from ansible_collections.patchbay.netdev.plugins.module_utils._model._errors import InvalidValue
from ansible_collections.patchbay.netdev.plugins.module_utils._model._routing import LOCAL_TABLE, MAIN_TABLE
from ansible_collections.patchbay.netdev.plugins.module_utils._values._names import (
    PROTOCOL,
    TABLE,
    USER,
    USER_GROUP,
    NameOrNumber,
)

_PROTOCOLS = {"tcp": 6, "udp": 17, "icmp": 1, "ipv6-icmp": 58, "sctp": 132}  # /etc/protocols is not on every host
_GROUP_FILES = ("/etc/iproute2/group", "/usr/lib/iproute2/group", "/usr/share/iproute2/group")


def number_of_name(type_: NameOrNumber, name: str, where: str) -> int:
    """The number that a name stands for on this host; InvalidValue when there is none of that name."""
    try:
        if type_ is USER:
            return pwd.getpwnam(name).pw_uid
        if type_ is USER_GROUP:
            return grp.getgrnam(name).gr_gid
        if type_ is PROTOCOL:
            return _PROTOCOLS.get(name) or socket.getprotobyname(name)
    except (KeyError, OSError) as error:
        raise InvalidValue(
            f"{where}: there is no {type_.database} {name} on this host; create it first, or write a number"
        ) from error
    if type_ is TABLE:
        if name not in _tables():
            raise InvalidValue(
                f"{where}: there is no routing table {name} in /etc/iproute2/rt_tables or rt_tables.d; write its number"
            )
        return _tables()[name]
    for path in _GROUP_FILES:
        for number, word in _lines(path):
            if word == name:
                return int(number, 0)
    if name == "default":
        return 0
    raise InvalidValue(f"{where}: there is no group {name} in {' or '.join(_GROUP_FILES[:2])}; write its number")


@functools.lru_cache(maxsize=1)
def _tables() -> dict[str, int]:
    """The numbers of routing tables by name, from the files of iproute2, the later ones overriding."""
    found = {"main": MAIN_TABLE, "local": LOCAL_TABLE, "default": 253}
    for folder in ("/usr/share/iproute2", "/usr/lib/iproute2", "/etc/iproute2"):
        for path in (f"{folder}/rt_tables", *sorted(glob.glob(f"{folder}/rt_tables.d/*.conf"))):
            found.update({name: int(number, 0) for number, name in _lines(path)})
    return found


def _lines(path: str) -> list[tuple[str, str]]:
    """The pairs of words in a file that iproute2 reads too; none when it is not there."""
    try:
        with open(path, encoding="utf-8") as file:
            lines = [line.split("#")[0].split() for line in file]
    except FileNotFoundError:
        return []
    return [(words[0], words[1]) for words in lines if len(words) == 2]
