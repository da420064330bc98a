# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The option that decides what is restored after a reboot."""

from __future__ import annotations

from textwrap import indent

OPTIONS = r"""
persist:
  description:
    - >-
      Boot backend that restores the object after a reboot. If omitted, the boot configuration is unchanged, and the module warns if the
      saved declaration differs from the options of the task.
    - >-
      V(replay) saves the declaration in C(/etc/patchbay/replay.d): the options of the task and what is needed to restore the object, such
      as its random MAC address. At boot, and whenever a lower device appears, a program made of the sources of this collection applies it,
      before the network managers start. These are configured to ignore the links. The program requires pyroute2 for the Python of the
      system, but not Ansible.
    - >-
      V(networkd) writes configuration files of systemd-networkd, which then creates the link at boot without this collection. Options that
      networkd has no setting for are refused. C(sysctls) are written to C(/etc/sysctl.d), from where udev sets them. The lower device of a
      link must be managed by systemd-networkd too.
    - >-
      V(networkmanager) writes one profile of NetworkManager for each link. An existing link is unchanged, and NetworkManager creates the
      link from the next boot on. It sets up each link that it creates, so C(admin_state) must be V(up).
    - V(none) removes the boot configuration of the object. Deleting the object removes it too.
    - The objects in a network namespace are restored only if the namespace has a name and is saved too.
    - A bridge without C(address) gets a random MAC address, and therefore another IPv6 link-local address, at each boot.
    - >-
      What depends on an address that a network manager or a DHCP client assigns after the boot, such as a route through a gateway in that
      network, is not restored until the program runs again. Configure such a route in the network manager.
  type: str
  choices: [none, replay, networkd, networkmanager]
"""


class ModuleDocFragment:
    """The option at the top level of a module."""

    DOCUMENTATION: str = "options:" + indent(OPTIONS, "  ")
