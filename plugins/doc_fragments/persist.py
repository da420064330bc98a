# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The option that decides what is there after a reboot."""

from __future__ import annotations

from textwrap import indent

OPTIONS = r"""
persist:
  description:
    - What is there after the next boot. Without it, the files of the next boot are left as they are, with a warning when what
      they say is no longer what the task wrote.
    - >-
      C(replay) saves what was written, with what bringing it back needs (such as the MAC address that it got at random), in
      C(/etc/patchbay/replay.d). At boot, and whenever a lower device appears, a program made of this collection's own sources
      makes it so, before the network managers start; they are told to keep their hands off the links. It needs pyroute2 for the
      Python of the system, and no Ansible.
    - >-
      C(networkd) writes files of systemd-networkd instead, which then makes the link at boot, without this collection. What it has
      no setting for is refused; C(sysctls) are set by udev, from C(/etc/sysctl.d). A link on a lower device needs that one to be
      set up by systemd-networkd too.
    - >-
      C(networkmanager) writes profiles of NetworkManager instead, one for each link. It leaves a link that is there as it is, and
      makes it from the next boot on. It brings up what it makes, so C(admin_state) has to be C(up).
    - C(none) takes that away. So does deleting the object.
    - A namespace has to be declared as well, and named, for what is in it to come back.
    - A bridge without C(address) is made with a random one, and so has another link-local address after each boot.
    - What rests on an address that a network manager or a DHCP client gives after the boot, such as a route by a gateway of that
      network, waits until the program runs again. Let the manager make such a route.
  type: str
  choices: [none, replay, networkd, networkmanager]
"""


class ModuleDocFragment:
    """The option at the top level of a module."""

    DOCUMENTATION: str = "options:" + indent(OPTIONS, "  ")
