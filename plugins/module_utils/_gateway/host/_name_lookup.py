# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The numbers of link groups, routing tables, users and protocols, by their names on this host."""

from __future__ import annotations

import functools
import glob
import grp
import pwd
import socket

from ansible_collections.patchbay.netdev.plugins.module_utils._model._errors import InvalidValue
from ansible_collections.patchbay.netdev.plugins.module_utils._model._routing import KERNEL_TABLES
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
    """The number of a name on this host; InvalidValue if the name is unknown. where: the option, for the message."""
    try:
        if type_ is USER:
            return pwd.getpwnam(name).pw_uid
        if type_ is USER_GROUP:
            return grp.getgrnam(name).gr_gid
        if type_ is PROTOCOL:
            return _PROTOCOLS.get(name) or socket.getprotobyname(name)
    except (KeyError, OSError) as error:
        raise InvalidValue(
            f"{where}: {type_.database} {name} does not exist on this host. Create it first, or set a number"
        ) from error
    if type_ is TABLE:
        if name not in _tables():
            raise InvalidValue(f"{where}: /etc/iproute2/rt_tables and rt_tables.d have no routing table {name}. Set its number")
        return _tables()[name]
    for path in _GROUP_FILES:
        for number, word in _lines(path):
            if word == name:
                return int(number, 0)
    if name == "default":
        return 0
    raise InvalidValue(f"{where}: {' and '.join(_GROUP_FILES[:2])} have no link group {name}. Set its number")


@functools.lru_cache(maxsize=1)
def _tables() -> dict[str, int]:
    """The numbers of routing tables by name, from the files of iproute2, of which the later ones override the earlier."""
    tables = dict(KERNEL_TABLES)
    for folder in ("/usr/share/iproute2", "/usr/lib/iproute2", "/etc/iproute2"):
        for path in (f"{folder}/rt_tables", *sorted(glob.glob(f"{folder}/rt_tables.d/*.conf"))):
            tables.update({name: int(number, 0) for number, name in _lines(path)})
    return tables


def _lines(path: str) -> list[tuple[str, str]]:
    """Number and name of each line of a file of iproute2; none if it does not exist."""
    try:
        with open(path, encoding="utf-8") as file:
            lines = [line.split("#")[0].split() for line in file]
    except FileNotFoundError:
        return []
    return [(words[0], words[1]) for words in lines if len(words) == 2]
