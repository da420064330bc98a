# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The DHCP client programs, a class each: their command lines and configuration files, not how they are run.

Each runs in the foreground, with its own configuration, and uses nothing of its package but the program. A client whose files
have fixed paths gets a private view of them: `folders` are empty folders of its own, `places` are files of this collection in the
place of those of the package. So two clients of one program share nothing, and Debian's AppArmor profile for dhclient lets it
read and run these files.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from ansible_collections.patchbay.netdev.plugins.module_utils._boot import _systemd_files as systemd_files
from ansible_collections.patchbay.netdev.plugins.module_utils._model._clients import Dhcp4


@dataclass(frozen=True)
class Job:
    """What a client does: for which link, with which options, and its client identifier (None: it sends none).

    variable: an assignment that its hook finds in its environment. configuration: the path of its configuration file.
    """

    link: str
    options: Dhcp4
    identifier: bytes | None
    variable: str
    configuration: str


class Program:
    """What each program must provide."""

    package = ""  # in Debian
    has_option_for_link = False  # else the name of the link is an argument, and must not begin with a hyphen
    folders: tuple[str, ...] = ()

    def configuration(self, _job: Job, /) -> str:
        """The content of its configuration file; empty if it reads none."""
        return ""

    def places(self, _job: Job, /) -> Mapping[str, str]:
        """Paths of the package, each with the file of this collection that replaces it."""
        return {}

    def command(self, job: Job, /) -> list[str]:
        """Its command line."""
        raise NotImplementedError


class Udhcpc(Program):
    """BusyBox. Its command line holds all settings, and its hook inherits its environment."""

    package = "udhcpc"
    has_option_for_link = True

    def command(self, job: Job, /) -> list[str]:
        """-f: in the foreground; -C: without its default client identifier; option 121 by number, because its name varies."""
        words = ["udhcpc", "-f", "-i", job.link, "-s", systemd_files.HOOK, "-O", "121", "-C"]
        if job.identifier is not None:
            words += ["-x", f"0x3d:{job.identifier.hex()}"]
        if job.options.hostname:
            words += ["-x", f"hostname:{job.options.hostname}"]
        return [*words, "-V", job.options.vendor_class or ""]


class Dhclient(Program):
    """ISC. Its hook gets an environment of its own, and it waits for a server for at most a minute before it pauses."""

    package = "isc-dhcp-client"
    folders = ("/var/lib/dhcp",)
    _configuration, _script = "/etc/dhcp/dhclient.conf", "/usr/sbin/dhclient-script"

    def configuration(self, job: Job, /) -> str:
        """It must be told what option 121 is before it can request it."""
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
        """Those that its package has installed."""
        replaced = {self._configuration: job.configuration, self._script: systemd_files.HOOK}
        return {path: source for path, source in replaced.items() if os.path.exists(path)}

    def command(self, job: Job, /) -> list[str]:
        """-d: in the foreground."""
        places = self.places(job)
        configuration = self._configuration if self._configuration in places else job.configuration
        script = self._script if self._script in places else systemd_files.HOOK
        own = ["-lf", "/var/lib/dhcp/dhclient.leases", "-pf", "/var/lib/dhcp/dhclient.pid"]
        return ["dhclient", "-4", "-d", "-cf", configuration, "-sf", script, *own, "-e", job.variable, job.link]


class Dhcpcd(Program):
    """By Roy Marples. Its hook gets an environment of its own, and by default it configures much more than a link."""

    package = "dhcpcd-base"
    folders = ("/run/dhcpcd", "/var/lib/dhcpcd")

    def configuration(self, job: Job, /) -> str:
        """noconfigure: the hook does that. Unless configured, it sends no client identifier, but a vendor class of its own."""
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
        return ["dhcpcd", "-4", "-B", "-f", job.configuration, "-c", systemd_files.HOOK, job.link]


PROGRAMS: Mapping[str, Program] = {"udhcpc": Udhcpc(), "dhclient": Dhclient(), "dhcpcd": Dhcpcd()}
