# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files around the declarations: the boot program and what starts it, and what udev, sysctl and managers must know. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ansible_collections.patchbay.netdev.plugins.module_utils._model._boot import BootState, File

ENGINE = "/usr/local/lib/patchbay/replay.pyz"
HOOK = "/usr/local/lib/patchbay/dhcp-hook"  # not below /run, which may be mounted with noexec
UNITS = "/etc/systemd/system"
CLIENT, LEASES = "patchbay-dhcp@.service", "patchbay-leases.service"
SERVICE, INSTANCE = "patchbay-replay.service", "patchbay-replay@.service"
SCRIPT = "/etc/init.d/patchbay-replay"
NETWORKD_CONF = "/etc/systemd/networkd.conf.d/90-patchbay.conf"
NETWORKD, NETWORKMANAGER = "/etc/systemd/network", "/etc/NetworkManager/conf.d"
LINK_FILE = ".link"  # the ending of the files that udev reads in the folder of networkd
UDEV, SYSCTL = "/etc/udev/rules.d", "/etc/sysctl.d"

_SERVICE = """\
# Written by patchbay.netdev: restores the declared objects before any network manager starts.
[Unit]
Description=Links declared with patchbay.netdev
DefaultDependencies=no
After=local-fs.target systemd-modules-load.service systemd-sysctl.service network-pre.target
Wants=network-pre.target
Before=network.target systemd-networkd.service NetworkManager.service networking.service shutdown.target
Conflicts=shutdown.target

[Service]
Type=oneshot
RemainAfterExit=yes
TimeoutStartSec=60
# No PrivateTmp=, ProtectSystem= or the like: network namespaces created in a mount namespace of the unit would be lost.
ExecStart={command}

[Install]
WantedBy=multi-user.target
"""

_INSTANCE = """\
# Written by patchbay.netdev: restores the links on a lower device whenever udev announces it.
[Unit]
Description=Links declared on %I with patchbay.netdev
DefaultDependencies=no
After=sys-subsystem-net-devices-%i.device patchbay-replay.service
BindsTo=sys-subsystem-net-devices-%i.device
Before=shutdown.target
Conflicts=shutdown.target

[Service]
Type=oneshot
RemainAfterExit=yes
TimeoutStartSec=60
ExecStart={command}

[Install]
# Never multi-user.target: without udev the boot would wait 90 seconds for the device.
WantedBy=sys-subsystem-net-devices-%i.device
"""

_CLIENT = """\
# Written by patchbay.netdev: the DHCP client of a link, started by whatever creates the link.
[Unit]
Description=DHCP client of %I
DefaultDependencies=no
Before=shutdown.target
Conflicts=shutdown.target
StartLimitIntervalSec=0

[Service]
ExecStart={command} client %I
Restart=always
RestartSec=2
TimeoutStopSec=5
"""

_LEASES = """\
# Written by patchbay.netdev: sets the policy rules for the leases of systemd-networkd. Started with the first such lease.
[Unit]
Description=Leases of systemd-networkd for patchbay.netdev
DefaultDependencies=no
Before=shutdown.target
Conflicts=shutdown.target
StartLimitIntervalSec=0

[Service]
ExecStart={command} leases
Restart=always
RestartSec=2
TimeoutStopSec=5
"""

_HOOK = """\
#!/bin/sh
# Written by patchbay.netdev: run by a DHCP client when its lease changes.
exec {command} lease "$@"
"""

_SCRIPT = """\
#!/bin/sh
# Written by patchbay.netdev.
### BEGIN INIT INFO
# Provides:          patchbay-replay
# Required-Start:    mountkernfs $local_fs
# Required-Stop:
# Should-Start:      udev kmod procps
# X-Start-Before:    networking
# Default-Start:     S
# Default-Stop:
# Short-Description: Links declared with patchbay.netdev
### END INIT INFO
case "$1" in
start | restart | force-reload) exec {command} ;;
status) exec {command} --check ;;
stop) ;;
*)
  echo "usage: $0 start|stop|status" >&2
  exit 3
  ;;
esac
"""


FOREIGN_ROUTING = """\
# Written by patchbay.netdev: keeps systemd-networkd from deleting routes and rules that are not its own.
[Network]
ManageForeignRoutes=no
ManageForeignRoutingPolicyRules=no
"""


def boot_command(interpreter: str) -> str:
    """The command that restores all declared objects. -I: no module comes from the environment or the working directory."""
    return f"{interpreter} -I {ENGINE}"


def boot_program_files(boot: BootState, engine: bytes) -> dict[str, File]:
    """The boot program, and what starts it."""
    files = {ENGINE: File(engine)}
    if boot.init == "systemd":
        files[f"{UNITS}/{SERVICE}"] = File(_SERVICE.format(command=boot_command(boot.interpreter)).encode())
        files[f"{UNITS}/{INSTANCE}"] = File(_INSTANCE.format(command=boot_command(boot.interpreter)).encode())
        files[f"{UNITS}/multi-user.target.wants/{SERVICE}"] = File(link=f"../{SERVICE}")
    elif boot.init:
        files[SCRIPT] = File(_SCRIPT.format(command=boot_command(boot.interpreter)).encode(), 0o755)
    return files


def dhcp_client_files(boot: BootState, engine: bytes) -> dict[str, File]:
    """What DHCP clients run when their lease changes, what runs them under systemd, and what keeps their routes and rules."""
    files = {
        **foreign_routing_files(boot),
        ENGINE: File(engine),
        HOOK: File(_HOOK.format(command=boot_command(boot.interpreter)).encode(), 0o755),
    }
    if boot.init == "systemd":
        files[f"{UNITS}/{CLIENT}"] = File(_CLIENT.format(command=boot_command(boot.interpreter)).encode())
        files[f"{UNITS}/{LEASES}"] = File(_LEASES.format(command=boot_command(boot.interpreter)).encode())
    return files


def hotplug_files(boot: BootState, name: str) -> dict[str, File]:
    """What runs the boot program again when a lower device appears."""
    if boot.init != "systemd":
        return {}
    escaped = unit_escape(name)
    folder = f"{UNITS}/sys-subsystem-net-devices-{escaped}.device.wants"
    return {f"{folder}/patchbay-replay@{escaped}.service": File(link=f"../{INSTANCE}")}


def unmanaged_files(boot: BootState, links: Iterable[str]) -> dict[str, File]:
    """What keeps the managers of this host from configuring or flushing links that they do not create."""
    files = {}
    for name in links:
        if "networkd" in boot.managers:
            match = f"[Match]\nName={networkd_pattern(name)}\n"
            text = f"# Written by patchbay.netdev, which creates this link.\n{match}\n[Link]\nUnmanaged=yes\n"
            files[f"{NETWORKD}/05-patchbay-{name}.network"] = File(text.encode(), 0o644)
        if "networkmanager" in boot.managers:
            match = f"interface-name:={networkmanager_literal(name)}"
            text = f"# Written by patchbay.netdev, which creates this link.\n[keyfile]\nunmanaged-devices+={match}\n"
            files[f"{NETWORKMANAGER}/90-patchbay-{name}.conf"] = File(text.encode(), 0o644)
    return files


def networkd_pattern(name: str) -> str:
    """A pattern of networkd that matches this name alone; `!` would negate it, and each backslash is unescaped twice."""
    return "".join(f"\\\\{character}" if character in "*?[]!" else character.replace("\\", "\\" * 4) for character in name)


def networkmanager_literal(name: str) -> str:
    """A name in a list of NetworkManager, which unescapes each backslash twice."""
    return "".join(f"\\\\{character}" if character in ",;" else character.replace("\\", "\\" * 4) for character in name)


def _udev_pattern(name: str) -> str:
    """A pattern of udev that matches a name; `?` stands for the characters that udev cannot escape."""
    return "".join(f"[{character}]" if character in "*?[" else "?" if character in '"|\\' else character for character in name)


def foreign_routing_files(boot: BootState) -> dict[str, File]:
    """What keeps networkd from deleting, whenever it starts, the routes and rules that are not its own."""
    if "networkd" not in boot.managers:
        return {}
    return {NETWORKD_CONF: File(FOREIGN_ROUTING.encode(), 0o644)}


def device_node_files(boot: BootState, name: str, options: Mapping[str, object]) -> dict[str, File]:
    """The udev rule that gives the device node of a macvtap its owner and mode; options: as a task sets them."""
    keys = (("device_owner", "OWNER"), ("device_group", "GROUP"), ("device_mode", "MODE"))
    settings = [f'{key}="{options[option]}"' for option, key in keys if options.get(option) is not None]
    if not settings or not boot.udev:
        return {}
    match = f'SUBSYSTEM=="macvtap", SUBSYSTEMS=="net", KERNELS=="{_udev_pattern(name)}"'
    text = f"# Written by patchbay.netdev: the number of the node changes with each boot.\n{', '.join([match, *settings])}\n"
    return {f"{UDEV}/90-patchbay-{name}.rules": File(text.encode(), 0o644)}


def sysctl_files(name: str, values: Mapping[str, int]) -> dict[str, File]:
    """What udev has systemd-sysctl set on a link as soon as it appears; values: of the option `sysctls`."""
    if not values:
        return {}
    # If the first separator is a slash, the dots of names separate nothing (sysctl.d(5)).
    lines = [
        f"net/{family}/conf/{name}/{key} = {value}"
        for setting, value in sorted(values.items())
        for family, key in [setting.split(".")]
    ]
    text = "\n".join(["# Written by patchbay.netdev: udev applies this whenever the link appears.", *lines, ""])
    return {f"{SYSCTL}/90-patchbay-{name}.conf": File(text.encode(), 0o644)}


def mac_address_files(name: str) -> dict[str, File]:
    """What keeps udev from setting the MAC address of a new link at the same moment as NetworkManager."""
    text = (
        "# Written by patchbay.netdev: NetworkManager sets the MAC address of the link.\n"
        f"[Match]\nOriginalName={networkd_pattern(name)}\n\n[Link]\nMACAddressPolicy=none\n"
    )
    return {f"{NETWORKD}/05-patchbay-{name}{LINK_FILE}": File(text.encode(), 0o644)}


def unit_escape(name: str) -> str:
    """A name as a part of the name of a unit (systemd.unit(5), "String Escaping for Inclusion in Unit Names")."""
    unescaped = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:_."
    escaped = ""
    for character in name:
        if character == "/":
            escaped += "-"
        elif character in unescaped:  # a leading dot too: the path of the device does not begin with the name
            escaped += character
        else:
            escaped += "".join(f"\\x{byte:02x}" for byte in character.encode())
    return escaped
