# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""boot.py: compare the boot of hosts whose macvlans `persist: replay` and systemd-networkd restore, in turn.

Runs in tests/sandbox, after tests/hosts/fetch-debian trixie networkd. The time from the start of systemd is measured until all
links are up, and until the boot has finished, and for replay also the duration of its unit.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator

from ansible_collections.patchbay.netdev.tests.systemd_hosts.system import SWITCH, System, command_host, made_system

ROUNDS = 3
LINKS = (1, 100, 1000)
SIDES = ("replay", "networkd")
WATCH = """\
until [ $(ip -oneline link show up | grep -c ": mv") -ge {links} ]; do
  sleep 0.05
done
cut -d " " -f 1 /proc/uptime >/root/up
"""
UNIT = """\
[Unit]
DefaultDependencies=no
[Service]
ExecStart=/bin/sh /root/watch
[Install]
WantedBy=sysinit.target
"""


def mac(number: int) -> str:
    """Return a MAC address for each macvlan."""
    return f"02:00:00:00:{number >> 8:02x}:{number & 255:02x}"


def declare(system: System, side: str, links: int) -> None:
    """Save this number of links for the next boot."""
    if side == "replay":
        options = {"lower_device": "eth1", "mode": "bridge", "admin_state": "up", "lower_device_state": "up"}
        entries = [{"name": f"mv{number}", "address": mac(number), **options} for number in range(links)]
        system.play([{"patchbay.netdev.topology": {"persist": "replay", "macvlan": entries}}])
    else:
        for number in range(links):
            netdev = f"[NetDev]\nName=mv{number}\nKind=macvlan\nMACAddress={mac(number)}\n[MACVLAN]\nMode=bridge\n"
            system.put(f"/etc/systemd/network/40-mv{number}.netdev", netdev)
        attached = "".join(f"MACVLAN=mv{number}\n" for number in range(links))
        quiet = "LinkLocalAddressing=ipv6\nIPv6AcceptRA=no\n"
        system.put("/etc/systemd/network/30-eth1.network", f"[Match]\nName=eth1\n[Network]\n{quiet}{attached}")
        system.put("/etc/systemd/network/50-mv.network", f"[Match]\nName=mv*\n[Network]\n{quiet}")
    system.put("/root/watch", WATCH.format(links=links))
    system.put("/etc/systemd/system/watch.service", UNIT)
    system.enter("systemctl", "enable", "watch")


def stamp(system: System, name: str, *unit: str) -> float:
    """Return a monotonic timestamp of systemd in seconds, 0 if it is not reached yet."""
    return int(system.enter("systemctl", "show", "--property", name, "--value", *unit)) / 1e6


def boot(system: System) -> tuple[float, float, float]:
    """Return the seconds until all links are up and until the boot has finished, and the duration of the unit of replay."""
    (system.root / "root/up").unlink(missing_ok=True)
    system.reboot()
    end = time.monotonic() + 300
    while not (system.root / "root/up").exists() or not stamp(system, "FinishTimestampMonotonic"):
        assert time.monotonic() < end, "the links do not come up"
        time.sleep(0.2)
    start = stamp(system, "UserspaceTimestampMonotonic")
    unit = ("patchbay-replay",) if (system.root / "etc/systemd/system/patchbay-replay.service").exists() else ()
    took = 0.0
    if unit:
        took = stamp(system, "ExecMainExitTimestampMonotonic", *unit) - stamp(system, "ExecMainStartTimestampMonotonic", *unit)
    up = float((system.root / "root/up").read_text())
    return up - start, stamp(system, "FinishTimestampMonotonic") - start, took


def measured(links: int) -> Iterator[str]:
    """Return a row for each backend."""
    figures: dict[str, list[tuple[float, float, float]]] = {side: [] for side in SIDES}
    for _round in range(ROUNDS):
        for side in SIDES:
            with made_system("trixie", "networkd") as system:
                declare(system, side, links)
                figures[side].append(boot(system))
    for side, rounds in figures.items():
        up, finished, took = (statistics.median(each[place] for each in rounds) for place in range(3))
        yield f"{links:>5}  {side:10}{up:>10.2f}{finished:>10.2f}" + (f"{took:>10.2f}" if took else "")


def main() -> None:
    """Print the table."""
    command_host("switch", SWITCH, "192.0.2.1/24")
    print(f"Boots of hosts with macvlans, Debian 13, medians of {ROUNDS} in turn, seconds from the start of systemd")
    print(f"{'links':>5}  {'by':10}{'up':>10}{'finished':>10}{'unit':>10}", flush=True)
    for links in LINKS:
        for row in measured(links):
            print(row, flush=True)
    command_host("stop", SWITCH)


if __name__ == "__main__":
    main()
