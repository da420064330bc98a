# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table: every kind of link, routes and rules."""

from __future__ import annotations

from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._bridge import BRIDGE
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._bridge_port import PORT
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._dummy import DUMMY
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._every_link import ROWS_OF_EVERY_LINK
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._ipvlan import IPVLAN
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._macvlan import MACVLAN, MACVTAP
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._routing import ROUTE, RULE
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._rows import At, Kind
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._veth import VETH
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._vlan import VLAN
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._vrf import VRF

# What the module `link` sets on any link, and what is known of a link whose kind the table lacks.
LINK = Kind("link", tuple(row for row in ROWS_OF_EVERY_LINK if row.at is not At.CREATION), port=PORT)

# In the order in which one of them can refer to another of the same task.
KINDS = {kind.name: kind for kind in (VRF, BRIDGE, VETH, DUMMY, VLAN, MACVLAN, MACVTAP, IPVLAN)}
_ALL = {**KINDS, ROUTE.name: ROUTE, RULE.name: RULE}


def kind_of(name: str) -> Kind:
    """The kind with this name; for one that the table lacks, what every link has."""
    return _ALL.get(name, LINK)


def describe_attribute(kind: str, name: str, value: object) -> str:
    """The value of an attribute in the words of its option."""
    return kind_of(kind)[name].type.describe(value)
