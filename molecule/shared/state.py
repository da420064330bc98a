"""[BACKEND]: print the current state of a host as JSON, without what that backend sets in its own way.

kernel: links, addresses, routes, rules and sysctls of all namespaces
files:  files that this collection may write
traces: signs of changes: modification times of files, files in /run, running DHCP clients
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

# Values that change without a request: counters, timers, and what depends on the carrier
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
# What network managers set regardless of their files: sysctls of links, and attributes of addresses and routes
BACKEND_SYSCTLS = {
    "networkd": ("promote_secondaries", "accept_ra", "proxy_ndp", "use_tempaddr"),
    "networkmanager": ("accept_ra", "use_tempaddr", "addr_gen_mode", "forwarding"),
}
BACKEND_ATTRIBUTES = {
    "networkmanager": {"noprefixroute", "inet6_addr_gen_mode", "broadcast", "metric", "scope", "protocol", "prefsrc"}
}
COMMANDS = ("link show", "address show", "-4 route show table all", "-6 route show table all", "-4 rule show", "-6 rule show")
PERSISTENT = ("/etc", "/usr/local", "/var/lib/patchbay", "/var/lib/dhcp")
TEMPORARY = ("/run",)
# files that systemd writes at any time, and namespaces, which are part of the kernel state
FOREIGN = tuple(f"/run/{name}" for name in ("netns", "systemd", "udev", "dbus", "log", "user", "NetworkManager"))
MAX_HASHED_SIZE = 100_000  # bytes: the content of larger files is not compared


def run(*command: str) -> str:
    """Return the output of a command, which must succeed."""
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout


def stable(value: Any) -> Any:
    """Return a value without volatile parts and without those that the backend sets in its own way."""
    if isinstance(value, dict):
        volatile = VOLATILE | BACKEND_ATTRIBUTES.get(BACKEND, set())
        return {key: stable(inner) for key, inner in value.items() if key not in volatile}
    if isinstance(value, list):
        return [stable(inner) for inner in value if not (isinstance(inner, str) and inner in FLAGS)]
    return value


def namespaces() -> dict[str, list[str]]:
    """Return the namespaces, each with the command that enters it."""
    names = os.listdir("/run/netns") if os.path.isdir("/run/netns") else []
    return {"": [], **{name: ["ip", "netns", "exec", name] for name in sorted(names)}}


def kernel() -> dict[str, Any]:
    """Return the output of ip for each namespace, sorted, and the sysctls of all links."""
    state: dict[str, Any] = {}
    for name, enter in namespaces().items():
        end = time.monotonic() + 5
        while run(*enter, "ip", "-o", "-6", "address", "show", "tentative") and time.monotonic() < end:
            time.sleep(0.1)
        for command in COMMANDS:
            output = json.loads(run(*enter, "ip", "-d", "-j", *command.split()) or "[]")
            # the kernel creates multicast routes when the link gets its carrier
            items = [stable(item) for item in output if item.get("type") != "multicast"]
            state[f"{name} {command}".strip()] = sorted(items, key=lambda item: json.dumps(item, sort_keys=True))
        settings = run(*enter, "sh", "-c", "cd /proc/sys/net; grep -s '' ipv4/conf/*/* ipv6/conf/*/* ipv4/ip_forward || true")
        excluded = ("stable_secret", *BACKEND_SYSCTLS.get(BACKEND, ()))
        lines = [line for line in settings.splitlines() if not line.partition(":")[0].endswith(excluded)]
        state[f"{name} settings".strip()] = sorted(lines)
    return state


def files(*folders: str, times: bool) -> dict[str, str]:
    """Return mode, owner and content of all files below these folders, and their modification times on request."""
    descriptions = {}
    for folder in folders:
        for directory, inner_folders, names in os.walk(folder):
            inner_folders[:] = [name for name in inner_folders if not os.path.join(directory, name).startswith(FOREIGN)]
            for path in (directory, *(os.path.join(directory, name) for name in names)):
                status = os.lstat(path)
                description = f"{status.st_mode:o} {status.st_uid}:{status.st_gid}"
                if os.path.islink(path):
                    description += f" -> {os.readlink(path)}"
                elif os.path.isfile(path):
                    description += f" {status.st_size}"
                    if status.st_size < MAX_HASHED_SIZE:
                        description += f" {hashlib.sha256(Path(path).read_bytes()).hexdigest()}"
                descriptions[path] = description + (f" {status.st_mtime_ns}" if times else "")
    return descriptions


def processes() -> list[str]:
    """Return the commands of running DHCP servers and clients."""
    lines = run("ps", "-e", "-o", "args=").splitlines()
    return sorted(line for line in lines if "dnsmasq" in line or "udhcpc" in line or "dhclient" in line)


if __name__ == "__main__":
    traces = {**files(*PERSISTENT, *TEMPORARY, times=True), "processes": processes()}
    print(json.dumps({"kernel": kernel(), "files": files(*PERSISTENT, times=False), "traces": traces}))
