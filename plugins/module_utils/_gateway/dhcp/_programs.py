# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The DHCP clients that can serve a link, a class each: what differs between them, and nothing of how they are run.

Each runs in the foreground, with configuration of its own, and of what its package brings only the program. Where a client has
its files in fixed places, it sees others there: `folders` are empty ones of its own, `places` are files of ours over those of
the package. So two of one name never meet, and the profile that Debian has for dhclient (AppArmor) lets it read and run them.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from ansible_collections.patchbay.netdev.plugins.module_utils._boot import _systemd_files as files
from ansible_collections.patchbay.netdev.plugins.module_utils._model._clients import Dhcp4


@dataclass(frozen=True)
class Job:
    """What a client is to do: for which link, with which options, and what it is to say that it is (None: nothing).

    variable: what its hook is to find in its environment. configuration: the path of the file with that.
    """

    link: str
    options: Dhcp4
    identifier: bytes | None
    variable: str
    configuration: str


class Program:
    """What is asked of each."""

    package = ""  # of Debian
    has_option_for_link = False  # else its name stands bare, where words that begin with a hyphen are options
    folders: tuple[str, ...] = ()

    def configuration(self, _job: Job, /) -> str:
        """What stands in the file that it is to read; nothing where it reads none."""
        return ""

    def places(self, _job: Job, /) -> Mapping[str, str]:
        """Which files of ours stand in the place of which."""
        return {}

    def command(self, job: Job, /) -> list[str]:
        """Its name, and what it is called with."""
        raise NotImplementedError


class Udhcpc(Program):
    """BusyBox. All that it is told stands in its command line, and its hook finds what is in its own environment."""

    package = "udhcpc"
    has_option_for_link = True

    def command(self, job: Job, /) -> list[str]:
        """-f: in the foreground; -C: without the client id that it has by itself; option 121 by its number, for names differ."""
        words = ["udhcpc", "-f", "-i", job.link, "-s", files.HOOK, "-O", "121", "-C"]
        if job.identifier is not None:
            words += ["-x", f"0x3d:{job.identifier.hex()}"]
        if job.options.hostname:
            words += ["-x", f"hostname:{job.options.hostname}"]
        return [*words, "-V", job.options.vendor_class or ""]


class Dhclient(Program):
    """ISC. It gives its hook an environment of its own, and does without a server for no longer than a minute."""

    package = "isc-dhcp-client"
    folders = ("/var/lib/dhcp",)
    _configuration, _script = "/etc/dhcp/dhclient.conf", "/usr/sbin/dhclient-script"

    def configuration(self, job: Job, /) -> str:
        """Of the options that it asks for, 121 is one that it has to be told of."""
        lines = [
            "option rfc3442-classless-static-routes code 121 = array of unsigned integer 8",
            "request subnet-mask, rfc3442-classless-static-routes, routers, domain-name, domain-name-servers",
            "timeout 60",
            "retry 5",
            "initial-interval 2",
        ]
        if job.identifier is not None:
            lines.append(f"send dhcp-client-identifier {job.identifier.hex(':')}")
        if job.options.hostname:
            lines.append(f'send host-name "{job.options.hostname}"')
        if job.options.vendor_class:
            text = job.options.vendor_class.replace("\\", "\\\\").replace('"', '\\"')
            lines.append(f'send vendor-class-identifier "{text}"')
        return "".join(f"{line};\n" for line in lines)

    def places(self, job: Job, /) -> Mapping[str, str]:
        """Those that its package has there."""
        found = {self._configuration: job.configuration, self._script: files.HOOK}
        return {place: source for place, source in found.items() if os.path.exists(place)}

    def command(self, job: Job, /) -> list[str]:
        """-d: in the foreground."""
        places = self.places(job)
        configuration = self._configuration if self._configuration in places else job.configuration
        script = self._script if self._script in places else files.HOOK
        own = ["-lf", "/var/lib/dhcp/dhclient.leases", "-pf", "/var/lib/dhcp/dhclient.pid"]
        return ["dhclient", "-4", "-d", "-cf", configuration, "-sf", script, *own, "-e", job.variable, job.link]


class Dhcpcd(Program):
    """Roy Marples'. It gives its hook an environment of its own, and would configure much more than a link."""

    package = "dhcpcd-base"
    folders = ("/run/dhcpcd", "/var/lib/dhcpcd")

    def configuration(self, job: Job, /) -> str:
        """noconfigure: the hook does it. Without a line for it, it sends no client id, but a vendor class of its own."""
        lines = [
            f"env {job.variable}",
            "noconfigure",
            "ipv4only",
            "noipv4ll",
            "noarp",
            "nodelay",
            "timeout 0",
            "option subnet_mask, classless_static_routes, routers, domain_name, domain_name_servers",
        ]
        if job.identifier is not None:
            lines.append(f"clientid {job.identifier.hex(':')}")
        if job.options.hostname:
            lines.append(f"hostname {job.options.hostname}")
        text = "".join(f"\\x{byte:02x}" for byte in (job.options.vendor_class or "").encode())
        lines.append(f'vendorclassid "{text}"' if text else "vendorclassid")
        return "".join(f"{line}\n" for line in lines)

    def command(self, job: Job, /) -> list[str]:
        """-B: in the foreground."""
        return ["dhcpcd", "-4", "-B", "-f", job.configuration, "-c", files.HOOK, job.link]


PROGRAMS: Mapping[str, Program] = {"udhcpc": Udhcpc(), "dhclient": Dhclient(), "dhcpcd": Dhcpcd()}
