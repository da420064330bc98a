"""[BACKEND]: prints what a host is like now, as JSON. What that backend makes its own way is left out.

kernel: links, addresses, routes, rules and settings, of all namespaces
files:  those that could be of this collection
traces: what shows that somebody was at work: when files were written, what is in /run, DHCP clients that run
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

# What changes by itself: counters, timers, and what follows the carrier
BACKEND = sys.argv[1] if len(sys.argv) > 1 else ""
VOLATILE = {
    *("ifindex", "link_index", "link_netnsid", "operstate", "promiscuity", "allmulti", "num_tx_queues", "num_rx_queues"),
    *(
        "valid_life_time",
        "preferred_life_time",
        "gc_timer",
        "hello_timer",
        "tcn_timer",
        "topology_change_timer",
        "forward_delay_timer",
        "message_age_timer",
        "hold_timer",
        "fdb_n_learned",
    ),
}
FLAGS = {"LOWER_UP", "NO-CARRIER", "linkdown", "dead"}
# What network managers have their own way, whatever their files say: settings of links, and words for addresses and routes
THEIR_SETTINGS = {
    "networkd": ("promote_secondaries", "accept_ra", "proxy_ndp", "use_tempaddr"),
    "networkmanager": ("accept_ra", "use_tempaddr", "addr_gen_mode", "forwarding"),
}
THEIR_WORDS = {"networkmanager": {"noprefixroute", "inet6_addr_gen_mode", "broadcast", "metric", "scope", "protocol", "prefsrc"}}
COMMANDS = ("link show", "address show", "-4 route show table all", "-6 route show table all", "-4 rule show", "-6 rule show")
KEPT = ("/etc", "/usr/local", "/var/lib/patchbay", "/var/lib/dhcp")
FLEETING = ("/run",)
# what systemd writes at its own time, and namespaces, which the kernel tells of
NOT_OURS = tuple(f"/run/{name}" for name in ("netns", "systemd", "udev", "dbus", "log", "user", "NetworkManager"))
SMALL = 100_000  # bytes: the content of larger files is not looked at


def run(*command: str) -> str:
    """What a command prints that must succeed."""
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout


def lasting(value: Any) -> Any:
    """Without what changes by itself, or is the backend's own."""
    if isinstance(value, dict):
        volatile = VOLATILE | THEIR_WORDS.get(BACKEND, set())
        return {key: lasting(inner) for key, inner in value.items() if key not in volatile}
    if isinstance(value, list):
        return [lasting(inner) for inner in value if not (isinstance(inner, str) and inner in FLAGS)]
    return value


def namespaces() -> dict[str, list[str]]:
    """How ip enters each."""
    names = os.listdir("/run/netns") if os.path.isdir("/run/netns") else []
    return {"": [], **{name: ["ip", "netns", "exec", name] for name in sorted(names)}}


def kernel() -> dict[str, Any]:
    """What ip shows of each namespace, in an order of its own, and the settings of all links."""
    found: dict[str, Any] = {}
    for name, way in namespaces().items():
        end = time.monotonic() + 5
        while run(*way, "ip", "-o", "-6", "address", "show", "tentative") and time.monotonic() < end:
            time.sleep(0.1)
        for command in COMMANDS:
            shown = json.loads(run(*way, "ip", "-d", "-j", *command.split()) or "[]")
            # the kernel makes multicast routes when the carrier comes
            items = [lasting(item) for item in shown if item.get("type") != "multicast"]
            found[f"{name} {command}".strip()] = sorted(items, key=lambda item: json.dumps(item, sort_keys=True))
        settings = run(*way, "sh", "-c", "cd /proc/sys/net; grep -s '' ipv4/conf/*/* ipv6/conf/*/* ipv4/ip_forward || true")
        left_out = ("stable_secret", *THEIR_SETTINGS.get(BACKEND, ()))
        lines = [line for line in settings.splitlines() if not line.partition(":")[0].endswith(left_out)]
        found[f"{name} settings".strip()] = sorted(lines)
    return found


def files(*folders: str, times: bool) -> dict[str, str]:
    """Mode, owner and content of all files below these folders; with times also when they were written."""
    found = {}
    for folder in folders:
        for place, inner_folders, names in os.walk(folder):
            inner_folders[:] = [name for name in inner_folders if not os.path.join(place, name).startswith(NOT_OURS)]
            for path in (place, *(os.path.join(place, name) for name in names)):
                about = os.lstat(path)
                said = f"{about.st_mode:o} {about.st_uid}:{about.st_gid}"
                if os.path.islink(path):
                    said += f" -> {os.readlink(path)}"
                elif os.path.isfile(path):
                    said += f" {about.st_size}"
                    if about.st_size < SMALL:
                        said += f" {hashlib.sha256(Path(path).read_bytes()).hexdigest()}"
                found[path] = said + (f" {about.st_mtime_ns}" if times else "")
    return found


def processes() -> list[str]:
    """Commands that run, without those that are the looking itself."""
    lines = run("ps", "-e", "-o", "args=").splitlines()
    return sorted(line for line in lines if "dnsmasq" in line or "udhcpc" in line or "dhclient" in line)


if __name__ == "__main__":
    traces = {**files(*KEPT, *FLEETING, times=True), "processes": processes()}
    print(json.dumps({"kernel": kernel(), "files": files(*KEPT, times=False), "traces": traces}))
