# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files that bring objects back at boot: which there are to be, and what stands in them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ansible_collections.patchbay.netdev.plugins.module_utils._model._boot import BootState, File

ENGINE = "/usr/local/lib/patchbay/replay.pyz"
HOOK = "/usr/local/lib/patchbay/dhcp-hook"  # not below /run, where a host may let nothing be executed
UNITS = "/etc/systemd/system"
CLIENT, LEASES = "patchbay-dhcp@.service", "patchbay-leases.service"
SERVICE, INSTANCE = "patchbay-replay.service", "patchbay-replay@.service"
SCRIPT = "/etc/init.d/patchbay-replay"
NETWORKD_CONF = "/etc/systemd/networkd.conf.d/90-patchbay.conf"
NETWORKD, NETWORKMANAGER = "/etc/systemd/network", "/etc/NetworkManager/conf.d"
LINK_FILE = ".link"  # the ending of those that udev reads, in the folder of networkd
UDEV, SYSCTL = "/etc/udev/rules.d", "/etc/sysctl.d"

_SERVICE = """\
# Written by patchbay.netdev: everything that can be made now is made now, before any network manager starts.
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
# No PrivateTmp=, ProtectSystem= or the like: in a mount namespace of its own, the network namespaces made here would be lost.
ExecStart={command}

[Install]
WantedBy=multi-user.target
"""

_INSTANCE = """\
# Written by patchbay.netdev: what sits on one lower device, whenever udev announces it.
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
# Written by patchbay.netdev: the DHCP client of one link, which whoever makes the link starts.
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
# Written by patchbay.netdev: makes the rules of the leases that systemd-networkd gets for links. It runs where there are such.
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
# Written by patchbay.netdev: what a DHCP client runs when it has news.
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


KEEP_ROUTING = """\
# Written by patchbay.netdev, which makes routes and rules beside those of networkd.
[Network]
ManageForeignRoutes=no
ManageForeignRoutingPolicyRules=no
"""


def command(interpreter: str) -> str:
    """What brings everything back. -I: nothing in the environment or the folder takes part."""
    return f"{interpreter} -I {ENGINE}"


def general(boot: BootState, engine: bytes) -> dict[str, File]:
    """The files that every declaration needs: the engine, and what starts it."""
    found = {ENGINE: File(engine)}
    if boot.init == "systemd":
        found[f"{UNITS}/{SERVICE}"] = File(_SERVICE.format(command=command(boot.interpreter)).encode())
        found[f"{UNITS}/{INSTANCE}"] = File(_INSTANCE.format(command=command(boot.interpreter)).encode())
        found[f"{UNITS}/multi-user.target.wants/{SERVICE}"] = File(link=f"../{SERVICE}")
    elif boot.init:
        found[SCRIPT] = File(_SCRIPT.format(command=command(boot.interpreter)).encode(), 0o755)
    return found


def of_clients(boot: BootState, engine: bytes) -> dict[str, File]:
    """The files that DHCP clients need: what they run, and under systemd what runs them; their leases have routes and rules."""
    found = {
        **keep_routing(boot),
        ENGINE: File(engine),
        HOOK: File(_HOOK.format(command=command(boot.interpreter)).encode(), 0o755),
    }
    if boot.init == "systemd":
        found[f"{UNITS}/{CLIENT}"] = File(_CLIENT.format(command=command(boot.interpreter)).encode())
        found[f"{UNITS}/{LEASES}"] = File(_LEASES.format(command=command(boot.interpreter)).encode())
    return found


def of_lower_device(boot: BootState, name: str) -> dict[str, File]:
    """What runs the engine again when a lower device appears."""
    if boot.init != "systemd":
        return {}
    escaped = escape(name)
    place = f"{UNITS}/sys-subsystem-net-devices-{escaped}.device.wants"
    return {f"{place}/patchbay-replay@{escaped}.service": File(link=f"../{INSTANCE}")}


def hands_off(boot: BootState, links: Iterable[str]) -> dict[str, File]:
    """What keeps the managers of this host from flushing or grabbing links of ours."""
    found = {}
    for name in links:
        if "networkd" in boot.managers:
            text = (
                f"# Written by patchbay.netdev, which makes this link.\n[Match]\nName={literal(name)}\n\n[Link]\nUnmanaged=yes\n"
            )
            found[f"{NETWORKD}/05-patchbay-{name}.network"] = File(text.encode(), 0o644)
        if "networkmanager" in boot.managers:
            match = f"interface-name:={listed(name)}"
            text = f"# Written by patchbay.netdev, which makes this link.\n[keyfile]\nunmanaged-devices+={match}\n"
            found[f"{NETWORKMANAGER}/90-patchbay-{name}.conf"] = File(text.encode(), 0o644)
    return found


def literal(name: str) -> str:
    """A name where networkd takes patterns, and an exclamation mark for a negation; it reads each backslash twice."""
    return "".join(f"\\\\{one}" if one in "*?[]!" else one.replace("\\", "\\" * 4) for one in name)


def listed(name: str) -> str:
    """A name in a list of NetworkManager, which reads each backslash twice."""
    return "".join(f"\\\\{one}" if one in ",;" else one.replace("\\", "\\" * 4) for one in name)


def _pattern(name: str) -> str:
    """A name where udev takes patterns, which has no way to write some characters."""
    return "".join(f"[{one}]" if one in "*?[" else "?" if one in '"|\\' else one for one in name)


def keep_routing(boot: BootState) -> dict[str, File]:
    """What keeps networkd from deleting, whenever it starts, the routes and rules that are not its own."""
    if "networkd" not in boot.managers:
        return {}
    return {NETWORKD_CONF: File(KEEP_ROUTING.encode(), 0o644)}


def node(boot: BootState, name: str, options: dict[str, object]) -> dict[str, File]:
    """The rule that gives the device node of a macvtap its owner as soon as udev sees it."""
    words = (("device_owner", "OWNER"), ("device_group", "GROUP"), ("device_mode", "MODE"))
    settings = [f'{word}="{options[option]}"' for option, word in words if options.get(option) is not None]
    if not settings or not boot.udev:
        return {}
    match = f'SUBSYSTEM=="macvtap", SUBSYSTEMS=="net", KERNELS=="{_pattern(name)}"'
    text = f"# Written by patchbay.netdev: the number of the node changes with each boot.\n{', '.join([match, *settings])}\n"
    return {f"{UDEV}/90-patchbay-{name}.rules": File(text.encode(), 0o644)}


def settings(name: str, values: Mapping[str, int]) -> dict[str, File]:
    """What udev has systemd-sysctl set on a link as soon as it appears. values: as the option `sysctls` has them."""
    if not values:
        return {}
    # A slash first: then the dots of names are none that divide.
    lines = [
        f"net/{family}/conf/{name}/{key} = {value}"
        for setting, value in sorted(values.items())
        for family, key in [setting.split(".")]
    ]
    text = "\n".join(["# Written by patchbay.netdev: udev has this read whenever the link appears.", *lines, ""])
    return {f"{SYSCTL}/90-patchbay-{name}.conf": File(text.encode(), 0o644)}


def own_address(name: str) -> dict[str, File]:
    """What keeps udev from giving a new link a MAC address, in the moment in which NetworkManager gives it one."""
    text = (
        "# Written by patchbay.netdev: NetworkManager gives the link its MAC address once it is there.\n"
        f"[Match]\nOriginalName={literal(name)}\n\n[Link]\nMACAddressPolicy=none\n"
    )
    return {f"{NETWORKD}/05-patchbay-{name}{LINK_FILE}": File(text.encode(), 0o644)}


def escape(name: str) -> str:
    """A name as it stands in the name of a unit (systemd.unit, "String Escaping for Inclusion in Unit Names")."""
    plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:_."
    found = ""
    for character in name:
        if character == "/":
            found += "-"
        elif character in plain:  # a dot too: it is not the first one of the path of the device
            found += character
        else:
            found += "".join(f"\\x{byte:02x}" for byte in character.encode())
    return found
