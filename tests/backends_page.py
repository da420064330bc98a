# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write the page about the boot backends from the table of kinds: python tests/backends_page.py."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ansible_collections.patchbay.netdev.plugins.module_utils._boot import _networkd, _networkmanager
from ansible_collections.patchbay.netdev.plugins.module_utils._boot._manager_files import PROGRAMS, UDEV_STORES
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._bridge_port import PORT
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._routing import ROUTE, RULE
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._rows import Attribute, ManagerSetting, Store
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._table import KINDS

PAGE = Path(__file__).parents[1] / "docs/docsite/rst/boot_backends.rst"
_OWN = {"networkd": _networkd.OWN_SYSCTLS, "networkmanager": _networkmanager.OWN_SYSCTLS}
_HEAD = """\
.. Copyright: Contributors to the patchbay.netdev project
   GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
   SPDX-License-Identifier: GPL-3.0-or-later
   Generated from the table of kinds by tests/backends_page.py: do not edit.

.. _ansible_collections.patchbay.netdev.docsite.boot_backends:

Options supported by each boot backend
======================================

The option ``persist`` selects the boot backend that restores an object after a reboot. ``replay`` restores all options of all
modules, in every network namespace, with any service manager and any network manager. ``networkd`` and ``networkmanager`` write
configuration files of the network manager from the same declarations, which are saved in ``/etc/patchbay``. A module refuses
options that such a file cannot express before it makes any change. Use ``replay`` for them.

Common rules of networkd and networkmanager
-------------------------------------------

- A value that equals the default of a new link requires no setting and is always accepted.
- Both backends support only the network namespace of the host, and create no namespaces.
- A route is written to the file of its ``link``. A rule is written to the file of the link that the rule names, that has an
  address of the rule, or whose routes are in the table of the rule. A route without a link (such as ``unreachable``) is written
  to the file that has the other routes of its table. A route or rule that belongs to no file is refused.
- ``sysctls`` of a link are written to ``/etc/sysctl.d/90-patchbay-NAME.conf``, which udev applies whenever the link appears. The
  owner of a device node is written to the udev rule ``/etc/udev/rules.d/90-patchbay-NAME.rules``. Both also apply to links that
  other programs create.
- To change the boot backend, set another value of ``persist``. The link is not recreated. systemd-networkd removes addresses,
  routes and rules of a link that it no longer manages, and the module restores them immediately. NetworkManager resets the MAC
  address of such a link, and the module restores it immediately too.

systemd-networkd
----------------

- Files: ``/etc/systemd/network/05-patchbay-NAME.netdev`` and ``.network``, and a drop-in ``05-patchbay-NAME.conf`` for the
  file of the lower device, which must be managed by systemd-networkd too.
- systemd-networkd adopts an existing link, which keeps its index, its MAC address and its addresses. If systemd-networkd logs
  an error about a file in its journal, the task fails and its changes are rolled back.
- Before systemd 257, a lower device briefly loses its addresses when systemd-networkd reads a new drop-in for it. If the lower
  device has addresses, systemd-networkd does not reload its files, the changes take effect at the next boot, and the module warns
  about this.
- For a link that systemd-networkd does not create, port settings, MTU, flags, routes and rules are supported, in a drop-in.
- systemd-networkd sets these sysctls of each link itself. Other values are refused:
{networkd}
- systemd-networkd processes router advertisements instead of the kernel, and respects ``accept_ra``, ``accept_ra_defrtr``,
  ``accept_ra_pinfo`` and ``autoconf`` if they are set to 0.

NetworkManager
--------------

- Files: ``/etc/NetworkManager/system-connections/patchbay-NAME.nmconnection``, and for a veth pair one file for each end in
  ``/etc/NetworkManager/conf.d``, because NetworkManager ignores veth pairs by default. A link with an ``address`` also has
  ``/etc/systemd/network/05-patchbay-NAME.link``, because udev would sometimes set another address otherwise.
- An existing link is unchanged. NetworkManager creates the link from the next boot on. If NetworkManager does not support a part
  of a profile, the task fails.
- NetworkManager sets up all links that it creates, so ``admin_state`` must be ``up``.
- NetworkManager creates one route for the network of each address itself, and therefore sets ``noprefixroute`` and a broadcast
  address for each address. It configures IPv6 itself on links with an IPv6 address. A bridge port has no IPv6 addresses.
- Addresses with ``noprefixroute`` are accepted if the routes to their networks are declared in a separate table, in which
  NetworkManager then creates them.
- NetworkManager sets these sysctls of each link with an IPv6 address itself. Other values are refused for all links:
{networkmanager}
- Routes and rules require an address of their family on the link.
"""


def page() -> str:
    """Return the text of the page."""
    own = {backend: "\n".join(f"  ``{name}: {value}``," for name, value in sets.items())[:-1] for backend, sets in _OWN.items()}
    return _HEAD.format_map(own) + "\n" + "\n".join(_tables())


def _tables() -> Iterator[str]:
    common = list(KINDS["dummy"].options)
    shared = {row.name for row in common}
    yield from _table("Every link", common)
    for kind in KINDS.values():
        own = [row for row in kind.options if row.name not in shared or _words(row) != _words(KINDS["dummy"][row.name])]
        if own:
            yield from _table(kind.name, own)
    yield from _table("Bridge port", list(PORT))
    yield from _table("Route", list(ROUTE.options))
    yield from _table("Policy rule", list(RULE.options))


def _words(row: Attribute) -> tuple[ManagerSetting | None, ...]:
    return tuple(getattr(row, backend) for backend in PROGRAMS)


def _table(title: str, rows: list[Attribute]) -> Iterator[str]:
    yield f"{title}\n{'-' * len(title)}\n"
    yield ".. list-table::\n   :header-rows: 1\n"
    for cells in (
        ["Option", *PROGRAMS.values()],
        *([f"``{row.name}``", *(_cell(row, backend) for backend in PROGRAMS)] for row in rows),
    ):
        yield "\n".join(f"   {'* -' if number == 0 else '  -'} {cell}" for number, cell in enumerate(cells))
    yield ""


def _cell(row: Attribute, backend: str) -> str:
    spelled: ManagerSetting | None = getattr(row, backend)
    if row.store in UDEV_STORES:
        return "by udev"
    if row.store is Store.INET6 and backend == "networkmanager":
        return "``eui64``, the default, without IPv6 addresses"
    if spelled is None:
        return "no"
    folder = ".netdev " if spelled.created else ""
    found = f"``{folder}[{spelled.section}] {spelled.key}``"
    if spelled.value_map is not None:
        found += f", for {', '.join(str(word).lower() for word in spelled.value_map)}"
    if spelled.since:
        version = spelled.since
        found += f", from {f'{version // 100}.{version % 100}' if backend == 'networkmanager' else version} on"
    return found


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
