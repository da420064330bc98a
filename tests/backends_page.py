# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page on what each boot backend can express, made from the table: python tests/backends_page.py writes it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ansible_collections.patchbay.netdev.plugins.module_utils._boot import _networkd, _networkmanager
from ansible_collections.patchbay.netdev.plugins.module_utils._boot._manager_files import BESIDE, PROGRAMS
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._bridge import PORT
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._routing import ROUTE, RULE
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._rows import Attribute, ManagerSetting, Store
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._table import KINDS

PAGE = Path(__file__).parents[1] / "docs/docsite/rst/boot_backends.rst"
_SETS = {"networkd": _networkd.SETS, "networkmanager": _networkmanager.SETS}
_HEAD = """\
.. Copyright: Contributors to the patchbay.netdev project
   GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
   SPDX-License-Identifier: GPL-3.0-or-later
   Made from the table by tests/backends_page.py: do not edit.

.. _ansible_collections.patchbay.netdev.docsite.boot_backends:

What each boot backend can express
==================================

``persist`` says by what an object comes back after a reboot. ``replay`` brings back every option of every module, in every
network namespace, with any service manager and beside any network manager. ``networkd`` and ``networkmanager`` write files of
the network manager instead, from the same declarations, which are kept in ``/etc/patchbay``. What such a file has no word for
is refused with a sentence, before anything is changed: then ``replay`` is the way.

What both take, and what they do not
------------------------------------

- A value that a new link has by itself needs no word and is always taken.
- Both work in the namespace of the host alone, and make no namespaces.
- A route stands in the file of its ``link``, a rule in that of the link that it names, that has its address, or whose routes
  are in its table. A route that leads nowhere (``unreachable`` and its like) stands with the routes of its table. What has no
  such place is refused.
- ``sysctls`` of a link stand in ``/etc/sysctl.d/90-patchbay-NAME.conf``, which udev has read whenever the link appears, and the
  owner of a device node in a rule of udev, ``/etc/udev/rules.d/90-patchbay-NAME.rules``. Both are for links that others make too.
- To change from one backend to another, write another ``persist``. The link stays the same one. systemd-networkd takes
  addresses, routes and rules of a link that it is to forget off, and they are set again at once; NetworkManager gives such a
  link the MAC address that it was made with, which is mended at once too.

systemd-networkd
----------------

- Files: ``/etc/systemd/network/05-patchbay-NAME.netdev`` and ``.network``, and a drop-in ``05-patchbay-NAME.conf`` for the
  file of its lower device, which has to be set up by systemd-networkd too.
- A link that is there is adopted: it keeps its index, its MAC address and its addresses. What systemd-networkd says against a
  file in its journal fails the task, and all is undone.
- Before systemd 257, a lower device loses its addresses for a moment when networkd reads a new drop-in for it. Where it has
  some, networkd is not told: what is written takes effect at the next boot, with a warning.
- Of a link that it does not make, it takes what a port has, MTU, flags, routes and rules, in a drop-in.
- Of each link it sets these settings itself, and other values are refused:
{networkd}
- It accepts router advertisements in the kernel's stead, and heeds ``accept_ra``, ``accept_ra_defrtr``, ``accept_ra_pinfo`` and
  ``autoconf`` where they are declared to be 0.

NetworkManager
--------------

- Files: ``/etc/NetworkManager/system-connections/patchbay-NAME.nmconnection``, and for a pair one more for each end in
  ``/etc/NetworkManager/conf.d``, for it leaves pairs alone otherwise. A link with an ``address`` has
  ``/etc/systemd/network/05-patchbay-NAME.link`` too, or udev gives it another one now and then.
- A link that is there is left as it is: NetworkManager makes it from the next boot on. A profile that it does not understand
  in whole fails the task.
- It brings up what it makes: ``admin_state`` has to be ``up``.
- It makes the routes to the networks of addresses itself, one for each address, and so has each address with
  ``noprefixroute`` and a broadcast address; and it does IPv6 itself on links that have an IPv6 address. A port of a bridge
  has no IPv6 address at all.
- Addresses with ``noprefixroute`` are taken where the routes to their networks are declared in a table of their own: there it
  makes them.
- Of a link that has an IPv6 address it sets these settings itself, and other values are refused for any link:
{networkmanager}
- Routes and rules need an address of their family on the link.
"""


def page() -> str:
    """The text."""
    own = {backend: "\n".join(f"  ``{name}: {value}``," for name, value in sets.items())[:-1] for backend, sets in _SETS.items()}
    return _HEAD.format_map(own) + "\n" + "\n".join(_tables())


def _tables() -> Iterator[str]:
    common = list(KINDS["dummy"].options)
    shared = {row.name for row in common}
    yield from _table("Every link", common)
    for kind in KINDS.values():
        own = [row for row in kind.options if row.name not in shared or _words(row) != _words(KINDS["dummy"][row.name])]
        if own:
            yield from _table(kind.name, own)
    yield from _table("Port of a bridge", list(PORT))
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
    if row.store in BESIDE:
        return "by udev"
    if row.store is Store.INET6 and backend == "networkmanager":
        return "``eui64`` as by itself, without IPv6 addresses"
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
