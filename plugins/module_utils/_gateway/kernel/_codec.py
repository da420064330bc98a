# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""pyroute2 as the encoder and decoder of netlink messages. No other file imports it.

Only its message classes are used: they behave the same from 0.6.4 to 0.9.7, while its sockets differ in retries, error codes
and interrupted dumps (see _netlink). Only the modules with these classes are loaded: the package's own `__init__` imports
databases, TLS and HTTP, five times the work of all the rest.
"""

from __future__ import annotations

import importlib
import importlib.machinery
import sys
import types
from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.patchbay.netdev.plugins.module_utils._model._errors import MissingLibrary

NLM_F_REQUEST, NLM_F_ACK, NLM_F_DUMP = 0x1, 0x4, 0x300
NLM_F_REPLACE, NLM_F_EXCL, NLM_F_CREATE = 0x100, 0x200, 0x400
RTM_NEWLINK, RTM_DELLINK, RTM_GETLINK, RTM_SETLINK = 16, 17, 18, 19
RTM_NEWADDR, RTM_DELADDR, RTM_GETADDR = 20, 21, 22
RTM_NEWROUTE, RTM_DELROUTE, RTM_GETROUTE = 24, 25, 26
RTM_NEWRULE, RTM_DELRULE, RTM_GETRULE = 32, 33, 34
RTM_NEWLINKPROP, RTM_DELLINKPROP = 108, 109

Message = Any  # a message class of pyroute2, which has no types
Attrs = list[Any]  # of [name, value], or of (name, value, flags)


class Codec:
    """The message classes, with the attributes that releases of pyroute2 lack."""

    def __init__(self) -> None:
        """Load them; MissingLibrary if pyroute2 is missing or too old."""
        try:
            self._base = _message_classes()
        except Exception as error:  # some releases raise TypeError on a Python that they do not support
            raise MissingLibrary(f"pyroute2 cannot be imported: {error}") from error
        link = self._module("ifinfmsg").ifinfmsg
        if "IFLA_PROP_LIST" not in [row[-2] for row in link.nla_map]:
            raise MissingLibrary("pyroute2 is older than 0.6.4")
        self.link = link
        self.address = self._module("ifaddrmsg").ifaddrmsg
        self.route = self._module("rtmsg").rtmsg
        self.rule = self._module("fibmsg").fibmsg
        nla = importlib.import_module(f"{self._base}.netlink").nla
        for kind in ("macvlan", "macvtap"):
            link.ifinfo.data_map[kind] = _macvlan_data(nla, kind.upper())
        link.ifinfo.data_map["ipvlan"] = _ipvlan_data(nla)
        _complete_port(self._module("ifinfmsg").protinfo_bridge, link.ifinfo.bridge_slave_data)
        have = [row[-2] for row in self.address.nla_map]
        missing = (("IFA_RT_PRIORITY", "uint32"), ("IFA_TARGET_NETNSID", "int32"), ("IFA_PROTO", "uint8"))
        self.address.nla_map = tuple(self.address.nla_map) + tuple(row for row in missing if row[0] not in have)

    def _module(self, name: str) -> Any:
        return importlib.import_module(f"{self._base}.netlink.rtnl.{name}")

    def encode(self, message_class: Message, kind: int, flags: int, header: Mapping[str, int], attrs: Attrs) -> bytes:
        """One message. header: the fields of its fixed part; the socket fills in the sequence number."""
        message = message_class()
        for field, value in header.items():
            message[field] = value
        message["attrs"] = attrs
        message["header"]["type"] = kind
        message["header"]["flags"] = NLM_F_REQUEST | NLM_F_ACK | flags
        message["header"]["sequence_number"] = 0
        message["header"]["pid"] = 0
        message.reset()
        message.encode()
        return bytes(message.data)

    def decode(self, message_class: Message, data: bytes) -> Decoded:
        """The message of these bytes."""
        message = message_class(data)
        message.decode()
        return Decoded(message)


class Decoded:
    """A received message, or an attribute that contains others. Each attribute is decoded when it is read.

    pyroute2's own `get_attr` decodes all of them each time: a link has some fifty, of which the table names twenty.
    """

    def __init__(self, message: Message) -> None:
        """From pyroute2's object."""
        self._message = message
        self._slots = {slot[0]: slot for slot in message["attrs"]}

    def __getitem__(self, field: str) -> int:
        """A field of the fixed part."""
        value: int = self._message[field]
        return value

    def get(self, name: str) -> Any:
        """The value of an attribute; None if it is missing."""
        slot = self._slots.get(name)
        return None if slot is None else slot[1]

    def inside(self, *path: str) -> Decoded | None:
        """An attribute inside of others; None if one of them is missing."""
        inner: Decoded | None = self
        for name in path:
            value = inner.get(name) if inner else None
            inner = None if value is None else Decoded(value)
        return inner

    def names(self) -> Iterable[str]:
        """The names of the attributes of this message; all unknown ones share one name."""
        return self._slots.keys()


def _message_classes() -> str:
    """The package that holds `netlink.rtnl`: pyroute2 itself, or pr2modules with the 0.6 series.

    An empty module replaces the package during the import, so that its `__init__` does not run.
    """
    if "pyroute2.netlink.rtnl.ifinfmsg" in sys.modules:
        return "pyroute2"
    spec = importlib.machinery.PathFinder.find_spec("pyroute2")
    if spec is None or spec.submodule_search_locations is None:
        raise ImportError("the package is not installed")
    folders = list(spec.submodule_search_locations)
    if importlib.machinery.PathFinder.find_spec("netlink", folders) is None:
        importlib.import_module("pr2modules.netlink.rtnl.ifinfmsg")
        return "pr2modules"
    present = sys.modules.get("pyroute2")
    if present is None:
        stand_in = types.ModuleType("pyroute2")
        stand_in.__path__ = folders
        sys.modules["pyroute2"] = stand_in
    try:
        for name in ("ifinfmsg", "ifaddrmsg", "rtmsg", "fibmsg"):
            importlib.import_module(f"pyroute2.netlink.rtnl.{name}")
    finally:
        if present is None:
            del sys.modules["pyroute2"]
    return "pyroute2"


# linux/if_link.h, from the last attribute that every release has
_PORT_ATTRIBUTES = (
    (32, "NEIGH_SUPPRESS", "uint8"),
    (33, "ISOLATED", "uint8"),
    (34, "BACKUP_PORT", "uint32"),
    (35, "MRP_RING_OPEN", "uint8"),
    (36, "MRP_IN_OPEN", "uint8"),
    (37, "MCAST_EHT_HOSTS_LIMIT", "uint32"),
    (38, "MCAST_EHT_HOSTS_CNT", "uint32"),
    (39, "LOCKED", "uint8"),
    (40, "MAB", "uint8"),
    (41, "MCAST_N_GROUPS", "uint32"),
    (42, "MCAST_MAX_GROUPS", "uint32"),
    (43, "NEIGH_VLAN_SUPPRESS", "uint8"),
    (44, "BACKUP_NHID", "uint32"),
)


def _complete_port(*classes: Any) -> None:
    """Give the classes for a bridge port the attributes that are newer than their release."""
    have = list(classes[0].nla_map)
    have += [(f"IFLA_BRPORT_{name}", kind) for number, name, kind in _PORT_ATTRIBUTES if number >= len(have)]
    for class_ in classes:
        class_.nla_map = tuple(have)


def _macvlan_data(nla: Any, kind: str) -> Any:
    """The data class of a macvlan or macvtap (linux/if_link.h): no release has BC_QUEUE_LEN, BC_CUTOFF and the flag nodst."""
    prefix = f"IFLA_{kind}_"

    class Addresses(nla):  # type: ignore[misc]
        """The inner list, whose attributes are named after macvlan for both kinds."""

        prefix = "IFLA_"
        nla_map = (
            ("IFLA_MACVLAN_UNSPEC", "none"),
            ("IFLA_MACVLAN_MODE", "none"),
            ("IFLA_MACVLAN_FLAGS", "none"),
            ("IFLA_MACVLAN_MACADDR_MODE", "none"),
            ("IFLA_MACVLAN_MACADDR", "l2addr"),
        )

    class Data(nla):  # type: ignore[misc]
        """Numbers stay numbers: the table of kinds has their names."""

        nla_map = (
            (prefix + "UNSPEC", "none"),
            (prefix + "MODE", "uint32"),
            (prefix + "FLAGS", "uint16"),
            (prefix + "MACADDR_MODE", "uint32"),
            (prefix + "MACADDR", "l2addr"),
            (prefix + "MACADDR_DATA", "Addresses"),
            (prefix + "MACADDR_COUNT", "uint32"),
            (prefix + "BC_QUEUE_LEN", "uint32"),
            (prefix + "BC_QUEUE_LEN_USED", "uint32"),
            (prefix + "BC_CUTOFF", "int32"),
        )

    Data.prefix = "IFLA_"
    Data.Addresses = Addresses
    return Data


def _ipvlan_data(nla: Any) -> Any:
    """The data of an ipvlan (linux/if_link.h): no release has FLAGS."""

    class Data(nla):  # type: ignore[misc]
        """Numbers as numbers, as above."""

        prefix = "IFLA_"
        nla_map = (("IFLA_IPVLAN_UNSPEC", "none"), ("IFLA_IPVLAN_MODE", "uint16"), ("IFLA_IPVLAN_FLAGS", "uint16"))

    return Data
