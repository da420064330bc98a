# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The attributes that links of every kind have."""

from __future__ import annotations

from dataclasses import replace

from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._rows import (
    IFF_ALLMULTI,
    IFF_PROMISC,
    IFF_UP,
    U32,
    At,
    Attribute,
    ManagerSetting,
    Store,
    always,
    netdev_setting,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._values._addresses import Addresses
from ansible_collections.patchbay.netdev.plugins.module_utils._values._base import Boolean, Choice, SetOf, Text
from ansible_collections.patchbay.netdev.plugins.module_utils._values._mac import Mac
from ansible_collections.patchbay.netdev.plugins.module_utils._values._names import LINK_GROUP, AltName, LinkName
from ansible_collections.patchbay.netdev.plugins.module_utils._values._numbers import Integer
from ansible_collections.patchbay.netdev.plugins.module_utils._values._sysctls import Sysctls

ROWS_OF_EVERY_LINK = (
    Attribute(
        "address",
        Mac(),
        Store.MESSAGE,
        "IFLA_ADDRESS",
        aliases=("mac",),
        networkd=netdev_setting("NetDev", "MACAddress"),
        networkmanager=ManagerSetting("ethernet", "cloned-mac-address"),
    ),
    Attribute(
        "mtu",
        Integer(68, 65535),
        Store.MESSAGE,
        "IFLA_MTU",
        networkd=ManagerSetting("Link", "MTUBytes"),
        networkmanager=ManagerSetting("ethernet", "mtu"),
    ),
    Attribute(
        "tx_queue_len",
        Integer(0, U32),
        Store.MESSAGE,
        "IFLA_TXQLEN",
        initial=1000,
        networkmanager=ManagerSetting("link", "tx-queue-length", since=144),
    ),
    Attribute(
        "num_tx_queues",
        Integer(1, 4096),
        Store.MESSAGE,
        "IFLA_NUM_TX_QUEUES",
        at=At.CREATION,
        initial=1,
        recreate_if=always,
    ),
    Attribute(
        "num_rx_queues",
        Integer(1, 4096),
        Store.MESSAGE,
        "IFLA_NUM_RX_QUEUES",
        at=At.CREATION,
        initial=1,
        recreate_if=always,
    ),
    Attribute("group", LINK_GROUP, Store.MESSAGE, "IFLA_GROUP", initial=0, networkd=ManagerSetting("Link", "Group")),
    Attribute("alias", Text(255), Store.MESSAGE, "IFLA_IFALIAS", at=At.AFTER, initial=""),
    Attribute(
        "controller",
        LinkName(empty=True),
        Store.MESSAGE,
        "IFLA_MASTER",
        at=At.AFTER,
        initial="",
        names_link=True,
        aliases=("master",),
        networkd=ManagerSetting("Network", "Bridge"),
        networkmanager=ManagerSetting("connection", "master"),
    ),
    Attribute(
        "address_generation_mode",
        Choice({"eui64": 0, "none": 1, "stable_secret": 2, "random": 3}),
        Store.INET6,
        "IFLA_INET6_ADDR_GEN_MODE",
        at=At.AFTER,
        networkd=ManagerSetting(
            "Network", "IPv6LinkLocalAddressGenerationMode", {"eui64": "eui64", "none": "none", "random": "random"}
        ),
    ),
    Attribute("altnames", SetOf(AltName()), Store.ALTNAME, at=At.AFTER, initial=(), since="5.5"),
    Attribute("sysctls", Sysctls(), Store.SYSCTL, at=At.AFTER),
    Attribute(
        "promiscuous",
        Boolean(),
        Store.FLAG,
        bit=IFF_PROMISC,
        initial=False,
        networkd=ManagerSetting("Link", "Promiscuous"),
        networkmanager=ManagerSetting("ethernet", "accept-all-mac-addresses", {True: "1", False: "0"}),
    ),
    Attribute(
        "allmulticast", Boolean(), Store.FLAG, bit=IFF_ALLMULTI, initial=False, networkd=ManagerSetting("Link", "AllMulticast")
    ),
    Attribute(
        "admin_state",
        Choice({"up": 1, "down": 0}),
        Store.FLAG,
        bit=IFF_UP,
        initial="down",
        networkd=ManagerSetting("Link", "ActivationPolicy"),
        networkmanager=ManagerSetting("connection", "autoconnect", {"up": "true"}),
    ),
    Attribute(
        "addresses",
        Addresses(),
        Store.ADDRESS,
        at=At.AFTER,
        initial=(),
        derived=True,
        networkd=ManagerSetting("Address", "Address"),
        networkmanager=ManagerSetting("ipv4", "address1"),
    ),
)


def without_initial(rows: tuple[Attribute, ...], *names: str) -> tuple[Attribute, ...]:
    return tuple(replace(row, initial=None) if row.name in names else row for row in rows)
