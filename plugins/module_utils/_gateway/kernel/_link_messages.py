# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Links in netlink messages: attributes by option to netlink attributes and back, by the rows of the table. Without I/O."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.kernel._codec import Attrs, Decoded
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._rows import Attribute, Store
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._table import kind_of
from ansible_collections.patchbay.netdev.plugins.module_utils._model._links import PHYSICAL, Attributes, Link, LinkKey

AF_BRIDGE = 7
ARPHRD_ETHER = 1
_IFF_LOOPBACK, _IFF_LOWER_UP = 0x8, 0x10000
_NLA_F_NESTED = 0x8000  # without it the kernel reads the port's attributes in an old format, which has only the state
_IFLA_MACADDR_MODE_FLUSH, _IFLA_MACADDR_MODE_SET = 2, 3
_OPER_STATES = ("unknown", "notpresent", "down", "lowerlayerdown", "testing", "dormant", "up")
_KINDS_WITHOUT_LOWER = ("netkit", "vxcan")  # their IFLA_LINK is the other end, or nothing that they sit on
_LOWER_IN_DATA = {"vxlan": "IFLA_VXLAN_LINK"}  # kinds that are deleted with a device that IFLA_LINK does not name


@dataclass(frozen=True)
class RawLink:
    """A link as its message describes it, which refers to other links by index.

    numbers: the index of a link in the same namespace, by attribute. lower: (index, number of its namespace or None for the
    same one).
    """

    name: str
    index: int
    kind: str
    attributes: Attributes
    ethernet: bool
    carrier: bool
    oper_state: str
    numbers: Mapping[str, int]
    lower: tuple[int, int | None] | None

    @property
    def reference(self) -> str:
        """The attribute that `lower` is the value of: for one end of a veth pair, the other end."""
        return "peer" if kind_of(self.kind).has_peer else "lower_device"

    def link(self, key: LinkKey, references: Attributes) -> Link:
        """The link with this key. references: the attributes that name other links."""
        attributes = {**self.attributes, **references}
        return Link(key, self.kind, attributes, self.index, self.ethernet, self.carrier, self.oper_state)


def read_link(message: Decoded) -> RawLink:
    """The link of a decoded RTM_NEWLINK."""
    info = message.inside("IFLA_LINKINFO")
    kind_name = (info.get("IFLA_INFO_KIND") if info else None) or PHYSICAL
    kind = kind_of(kind_name)
    data = info.inside("IFLA_INFO_DATA") if info and (kind.name == kind_name or kind_name in _LOWER_IN_DATA) else None
    port = info.inside("IFLA_INFO_SLAVE_DATA") if info and info.get("IFLA_INFO_SLAVE_KIND") == "bridge" else None
    attributes = {
        row.name: _STORES[row.store].read(row, message, port if row.store is Store.PORT else data)
        for row in kind.attributes
        if row.store in _STORES
    }
    numbers = {
        row.name: attributes.pop(row.name) for row in kind.attributes if row.names_link and isinstance(attributes[row.name], int)
    }
    return RawLink(
        name=message.get("IFLA_IFNAME"),
        index=message["index"],
        kind=kind_name,
        attributes=attributes,
        ethernet=message["ifi_type"] == ARPHRD_ETHER and not message["flags"] & _IFF_LOOPBACK,
        carrier=bool(message["flags"] & _IFF_LOWER_UP),
        oper_state=_oper_state(message.get("IFLA_OPERSTATE")),
        numbers=numbers,
        lower=_read_lower(kind_name, message, data),
    )


def _read_lower(kind_name: str, message: Decoded, data: Decoded | None) -> tuple[int, int | None] | None:
    index, netns = message.get("IFLA_LINK"), message.get("IFLA_LINK_NETNSID")
    is_itself = index == message["index"] and netns is None  # the same index in another namespace is another link
    if kind_name in (PHYSICAL, *_KINDS_WITHOUT_LOWER) or is_itself:
        index = None
    if kind_name in _LOWER_IN_DATA:
        index = data.get(_LOWER_IN_DATA[kind_name]) if data else None
    return (index, netns) if index else None


def _oper_state(value: Any) -> str:
    """pyroute2 returns the word in capitals, or the number if it has no word for it."""
    return value.lower() if isinstance(value, str) else _OPER_STATES[value or 0]


@dataclass
class _Draft:
    """A link message in the making. flag_words: those of the kind's data; port: the attributes of a bridge port."""

    header: dict[str, int] = field(default_factory=lambda: {"flags": 0, "change": 0})
    attrs: Attrs = field(default_factory=list)
    data: Attrs = field(default_factory=list)
    flag_words: dict[str, int] = field(default_factory=dict)
    port: Attrs = field(default_factory=list)


def write_link(
    kind_name: str, attributes: Attributes, index_of: Callable[[LinkKey], int], key: LinkKey
) -> tuple[dict[str, int], Attrs]:
    """The header fields and netlink attributes that set these attributes of the link `key`."""
    kind = kind_of(kind_name)
    draft = _Draft()
    for row in kind.rows(attributes):
        value: Any = attributes[row.name]
        if row.names_link:
            value = index_of(LinkKey(key.netns, value)) if value else 0
        if row.store is Store.LOWER_DEVICE:
            draft.attrs.append([row.nla, index_of(value)])
        elif row.store in _STORES:
            _STORES[row.store].write(row, value, draft)
    data = [*draft.data, *([nla, word] for nla, word in draft.flag_words.items())]
    if data:
        draft.attrs.append(["IFLA_LINKINFO", {"attrs": [["IFLA_INFO_KIND", kind.name], ["IFLA_INFO_DATA", {"attrs": data}]]}])
    if draft.port:
        draft.header["family"] = AF_BRIDGE
        draft.attrs.append(("IFLA_PROTINFO", {"attrs": draft.port}, _NLA_F_NESTED))
    return draft.header, draft.attrs


# --- how each store is read and written ---


def _read_message(row: Attribute, message: Decoded, _data: Decoded | None) -> Any:
    value = message.get(row.nla)
    return row.initial if value is None else value


def _read_flag(row: Attribute, message: Decoded, _data: Decoded | None) -> Any:
    return row.type.decoded(int(bool(message["flags"] & row.bit)))


def _read_data(row: Attribute, _message: Decoded, data: Decoded | None) -> Any:
    value = data.get(row.nla) if data is not None else None
    if value is None and row.per_lower_device:
        return row.initial  # the kernel omits bc_cutoff if it has its default
    return None if value is None else row.type.decoded(value)


def _read_port(row: Attribute, _message: Decoded, port: Decoded | None) -> Any:
    """None if the link is no bridge port, or the kernel has no such attribute."""
    if port is None:
        return None
    value = port.get(row.nla)
    if value is None:  # the kernel omits it if there is no backup port
        return "" if row.names_link else None
    return row.type.decoded(value)


def _read_data_flag(row: Attribute, _message: Decoded, data: Decoded | None) -> bool:
    return bool(((data.get(row.nla) if data is not None else None) or 0) & row.bit)


def _read_sources(row: Attribute, _message: Decoded, data: Decoded | None) -> tuple[str, ...]:
    attribute = data.get(row.nla) if data is not None else None
    return tuple(sorted(item[1] for item in attribute["attrs"])) if attribute else ()


def _read_inet6(row: Attribute, message: Decoded, _data: Decoded | None) -> Any:
    settings = message.inside("IFLA_AF_SPEC", "AF_INET6")
    code = settings.get(row.nla) if settings else None
    return None if code is None else row.type.decoded(code)


def _read_altnames(_row: Attribute, message: Decoded, _data: Decoded | None) -> tuple[str, ...]:
    attribute = message.get("IFLA_PROP_LIST")
    return tuple(sorted(item[1] for item in attribute["attrs"] if item[0] == "IFLA_ALT_IFNAME")) if attribute else ()


def _write_message(row: Attribute, value: Any, draft: _Draft) -> None:
    draft.attrs.append([row.nla, value])


def _write_flag(row: Attribute, value: Any, draft: _Draft) -> None:
    draft.header["change"] |= row.bit
    draft.header["flags"] |= row.bit if row.type.encoded(value) else 0


def _write_data(row: Attribute, value: Any, draft: _Draft) -> None:
    draft.data.append([row.nla, row.type.encoded(value)])


def _write_data_flag(row: Attribute, value: Any, draft: _Draft) -> None:
    draft.flag_words[row.nla] = draft.flag_words.get(row.nla, 0) | (row.bit if value else 0)


def _write_sources(row: Attribute, addresses: tuple[str, ...], draft: _Draft) -> None:
    mode = row.nla.replace("MACADDR_DATA", "MACADDR_MODE")
    if not addresses:
        draft.data.append([mode, _IFLA_MACADDR_MODE_FLUSH])
        return
    items = [["IFLA_MACVLAN_MACADDR", address] for address in addresses]
    draft.data += [[mode, _IFLA_MACADDR_MODE_SET], [row.nla, {"attrs": items}]]


def _write_inet6(row: Attribute, value: Any, draft: _Draft) -> None:
    draft.attrs.append(["IFLA_AF_SPEC", {"attrs": [["AF_INET6", {"attrs": [[row.nla, row.type.encoded(value)]]}]]}])


def _write_port(row: Attribute, value: Any, draft: _Draft) -> None:
    if value is not None:
        draft.port.append([row.nla, row.type.encoded(value)])


def _write_nothing(_row: Attribute, _value: Any, _draft: _Draft) -> None:
    """A request of its own writes it."""


@dataclass(frozen=True)
class _Access:
    """How an attribute is read from a link message, and written to one."""

    read: Callable[[Attribute, Decoded, Decoded | None], Any]
    write: Callable[[Attribute, Any, _Draft], None]


_STORES: Mapping[Store, _Access] = {
    Store.MESSAGE: _Access(_read_message, _write_message),
    Store.FLAG: _Access(_read_flag, _write_flag),
    Store.DATA: _Access(_read_data, _write_data),
    Store.DATA_FLAG: _Access(_read_data_flag, _write_data_flag),
    Store.SOURCES: _Access(_read_sources, _write_sources),
    Store.INET6: _Access(_read_inet6, _write_inet6),
    Store.ALTNAME: _Access(_read_altnames, _write_nothing),
    Store.PORT: _Access(_read_port, _write_port),
}
