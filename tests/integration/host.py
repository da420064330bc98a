# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host for module tests: a network namespace with a cable, and independent ways to read its state (ip)."""

from __future__ import annotations

import ctypes
import gc
import importlib
import json
import os
import re
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible.module_utils.testing import patch_module_args

from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.kernel._codec import Codec

CLONE_NEWNET, CLONE_NEWNS = 0x40000000, 0x00020000
MS_RDONLY, MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 0x1, 0x20, 0x1000, 0x4000, 0x40000
CAP_NET_ADMIN = 12
CLONE = Path(__file__).resolve().parents[2]
MODULES = {
    path.stem: importlib.import_module(f"ansible_collections.patchbay.netdev.plugins.modules.{path.stem}")
    for path in sorted((CLONE / "plugins/modules").glob("[!_]*.py"))
}
_libc = ctypes.CDLL(None, use_errno=True)
Codec()  # load the library once, not in each child process
# Modules disable the collector for their own short process, but this one runs for minutes. A collection in a child process would
# copy the memory that it shares with this one.
gc.enable()
gc.collect()
gc.freeze()

# Values that the kernel changes without a request: counters, timers, the carrier and what depends on it, and what a
# bridge remembers of its former ports.
_VOLATILE = {
    "stats",
    "stats64",
    "valid_life_time",
    "preferred_life_time",
    "operstate",
    "promiscuity",
    "pref",
    "gc_timer",
    "hello_timer",
    "tso_max_size",
    "link_netnsid",  # the ID that one namespace has for another one, which is assigned anew to a new namespace
    "forward_delay_timer",
    "hold_timer",
    "message_age_timer",
    "tcn_timer",
    "topology_change_timer",
}
_VOLATILE_FLAGS = ("LOWER_UP", "NO-CARRIER", "M-DOWN", "linkdown", "dead")


def hosts(*words: str, given: str = "", check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run tests/hosts/host with a short timeout."""
    command = [str(CLONE / "tests/hosts/host"), *words]
    done = subprocess.run(command, input=given, capture_output=True, text=True, timeout=60, check=False)
    assert not check or done.returncode == 0, f"{' '.join(words)}: {done.stdout}{done.stderr}"
    return done


def ip(*words: str, netns: str | None = None) -> str:
    """Return the output of ip. Raise CalledProcessError with its error message if it fails."""
    command = ["ip", *(["-n", netns] if netns else []), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
    return done.stdout


def ip_batch(*commands: str, netns: str | None = None, options: Sequence[str] = ()) -> str:
    """Run many ip commands, one per line, in one process, which is faster than one process per command. Return the output."""
    command = ["ip", *(["-n", netns] if netns else []), *options, "-batch", "-"]
    done = subprocess.run(command, input="\n".join(commands) + "\n", capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
    return done.stdout


def make_netns(*names: str) -> None:
    """Create namespaces with a loopback link and without duplicate address detection, so that addresses are usable at once."""
    ip_batch(*(f"netns add {name}" for name in names))
    for name in names:
        prepare = "echo 0 > /proc/sys/net/ipv6/conf/default/accept_dad && exec ip link set lo up"
        ip("netns", "exec", name, "sh", "-c", prepare)


def remove_netns(*names: str) -> None:
    """Delete all namespaces."""
    ip_batch(*(f"netns del {name}" for name in names))


def plug_in(netns: str, wire: str, *ports: str) -> None:
    """Give a namespace Ethernet links, each connected to a link of the same name in `wire`, and set all of them up."""
    ip_batch(*(f"link add {port} type veth peer name {port} netns {wire}" for port in ports), netns=netns)
    for place in (wire, netns):
        ip_batch(*(f"link set {port} up" for port in ports), netns=place)


def bring_up(name: str, netns: str) -> None:
    """Set a link up and wait as settle does."""
    ip("link", "set", name, "up", netns=netns)
    settle(name, netns)


def settle(name: str, netns: str) -> None:
    """Wait until the kernel has finished setting a link up. Its link-local address comes last."""
    end = time.monotonic() + 10
    while not re.search(r" state UP .*inet6 fe80:", shown := _shown(name, netns), re.DOTALL) or "tentative" in shown:
        assert time.monotonic() < end, f"{name} in {netns} did not come up: {shown}"
        time.sleep(0.005)


def _shown(name: str, netns: str) -> str:
    return ip("address", "show", "dev", name, netns=netns)


@dataclass(frozen=True)
class Host:
    """The namespace that modules run in."""

    netns: str

    def ip(self, *words: str) -> str:
        """Run ip in the namespace."""
        return ip(*words, netns=self.netns)

    def link(self, name: str, netns: str | None = None) -> dict[str, Any]:
        """Return a link as `ip -d -j` shows it, empty if it does not exist."""
        command = ["ip", "-n", netns or self.netns, "-d", "-j", "link", "show", "dev", name]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return json.loads(done.stdout)[0] if done.returncode == 0 else {}

    def kind_data(self, name: str, netns: str | None = None) -> dict[str, Any]:
        """Return the kind-specific data, such as the mode."""
        return self.link(name, netns).get("linkinfo", {}).get("info_data", {})

    def setting(self, path: str, netns: str | None = None) -> str:
        """Return the value of a sysctl file below /proc/sys/net."""
        command = ["ip", "netns", "exec", netns or self.netns, "cat", f"/proc/sys/net/{path}"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    def run(self, module: str, /, check: bool = False, **params: Any) -> dict[str, Any]:
        """Return the result of a module that runs in its own process in this namespace.

        check: run in check mode, without CAP_NET_ADMIN and with a read-only /proc/sys, so that any write fails.
        """
        return run_in_child(self.netns, module, params, check)

    def apply(self, module: str, /, **params: Any) -> dict[str, Any]:
        """Run a module that must succeed."""
        result = self.run(module, **params)
        assert not result.get("failed"), result
        return result


def run_in_child(place: str | Callable[[], None], name: str, params: Mapping[str, Any], check: bool) -> dict[str, Any]:
    """Fork, enter the namespace or host, run the main function of the module, and read its output."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        gc.disable()
        try:
            os.close(reader)
            sys.stdout = os.fdopen(writer, "w")
            settings = {"_ansible_check_mode": check, "_ansible_diff": True, "_ansible_no_log": False}
            with patch_module_args({**settings, **params}):  # first, because it imports files that the host may make unreadable
                if isinstance(place, str):
                    enter(place)
                else:
                    place()
                if check:
                    lose_the_means_to_write()
                MODULES[name].main()
        except SystemExit as leave:
            sys.stdout.flush()
            os._exit(leave.code if isinstance(leave.code, int) else 1)
        except BaseException:
            traceback.print_exc()
            os._exit(70)
        os._exit(71)  # a module always ends with exit_json or fail_json
    os.close(writer)
    with os.fdopen(reader) as output:
        text = output.read()
    _pid, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    assert code in (0, 1), f"the module ended with {code}: {text}"
    result = json.loads(text)
    return _without_warning_of_privileges(result) if check else result


def _without_warning_of_privileges(result: dict[str, Any]) -> dict[str, Any]:
    """Return the result of check mode without the warning that a real run would fail, which every planned change has here."""
    warnings = [item for item in result.get("warnings", ()) if "may not change links" not in str(item)]
    is_planned = result.get("changed") and result.get("operations") and not result.get("failed")
    # Once the code of the controller is loaded too, ansible-core 2.19 prints warnings instead of returning them.
    is_printed = "ansible._internal" in sys.modules
    assert not is_planned or is_printed or len(warnings) < len(result.get("warnings", ())), (
        f"no warning of the lack of privileges: {result}"
    )
    rest = {name: value for name, value in result.items() if name != "warnings"}
    return {**rest, "warnings": warnings} if warnings else rest


def enter(netns: str) -> None:
    """Move this thread to a named namespace."""
    descriptor = os.open(f"/run/netns/{netns}", os.O_RDONLY)
    _checked(_libc.setns(descriptor, CLONE_NEWNET))
    os.close(descriptor)


def see_own_sysfs() -> None:
    """Mount /sys for the namespace of this process."""
    _checked(_libc.unshare(CLONE_NEWNS))
    _mount(b"none", b"/", MS_REC | MS_PRIVATE)
    _checked(_libc.mount(b"sysfs", b"/sys", b"sysfs", 0, None))


def enter_process(process: int) -> None:
    """Continue in a new process in all namespaces of another process: network, mounts, names and processes."""
    descriptors = [os.open(f"/proc/{process}/ns/{kind}", os.O_RDONLY) for kind in ("net", "uts", "ipc", "pid", "mnt")]
    for descriptor in descriptors:
        _checked(_libc.setns(descriptor, 0))
        os.close(descriptor)
    os.chdir("/")
    child = os.fork()  # the first of our processes in that process namespace: this one stays outside, and ends as it does
    if child:
        os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))


def lose_the_means_to_write() -> None:
    """Drop CAP_NET_ADMIN and make /proc/sys read-only, because root may write most sysctls without the capability."""
    _checked(_libc.unshare(CLONE_NEWNS))
    _mount(b"none", b"/", MS_REC | MS_PRIVATE)
    _mount(b"/proc/sys", b"/proc/sys", MS_BIND)
    _mount(b"none", b"/proc/sys", MS_BIND | MS_REMOUNT | MS_RDONLY)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)  # _LINUX_CAPABILITY_VERSION_3, this thread
    data = (ctypes.c_uint32 * 6)()
    _checked(_libc.capget(header, data))
    for place in range(3):  # effective, permitted, inheritable
        data[place] &= ~(1 << CAP_NET_ADMIN)
    _checked(_libc.capset(header, data))


def _mount(source: bytes, target: bytes, flags: int) -> None:
    _checked(_libc.mount(source, target, None, flags, None))


def _checked(code: int) -> None:
    if code:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def dump(namespaces: Iterable[str]) -> dict[str, Any]:
    """Return the output of ip for these namespaces and the sysctls of their links, without values that change by themselves."""
    found = {}
    for place in namespaces:
        _wait_for_dad(place)
        commands = ("link", "address", "route show table all", "rule")
        lines = ip_batch(*commands, netns=place, options=("-d", "-j")).splitlines()
        lines += ip_batch("rule", netns=place, options=("-6", "-d", "-j")).splitlines()
        commands = (*commands, "rule of IPv6")
        assert len(lines) == len(commands), lines
        for command, line in zip(commands, lines):
            shown = json.loads(line)
            # where duplicate address detection has no carrier, it ends when the kernel gives it up
            waiting = [link for link in shown if "addr_info" in link and "LOWER_UP" not in link["flags"]]
            for address in (address for link in waiting for address in link["addr_info"]):
                address.pop("tentative", None)
            # the kernel creates the multicast route of a link when the link gets its carrier
            shown = [item for item in shown if item.get("type") != "multicast"]
            found[f"{place} {command}"] = sorted(_without(shown, _VOLATILE), key=_by_name)
        shown = subprocess.run(
            ["ip", "netns", "exec", place, "sh", "-c", "cd /proc/sys/net; grep -s '' ipv4/conf/*/* ipv6/conf/*/*"],
            capture_output=True,
            text=True,
            check=False,
        ).stdout
        found[f"{place} settings"] = dict(line.split(":", 1) for line in shown.splitlines())
    found["namespaces"] = sorted(os.listdir("/run/netns"))
    return found


def _wait_for_dad(netns: str) -> None:
    """Wait until duplicate address detection has ended where it can: on links with a carrier. It ends by itself."""
    end = time.monotonic() + 3
    while time.monotonic() < end:
        links = json.loads(ip("-6", "-j", "address", "show", "tentative", netns=netns) or "[]")
        if not any("LOWER_UP" in link.get("flags", ()) for link in links):
            return
        time.sleep(0.02)


def lasting(shown: Any, *names: str) -> Any:
    """Return output of ip without the values that change without a request, and without the given keys."""
    return _without(shown, _VOLATILE | set(names))


def _by_name(item: dict[str, Any]) -> tuple[str, str]:
    return str(item.get("ifname")), str(item)


def _without(value: Any, names: set[str]) -> Any:
    if isinstance(value, dict):
        return {key: _without(inner, names) for key, inner in value.items() if key not in names}
    if isinstance(value, list):
        return [_without(inner, names) for inner in value if not (isinstance(inner, str) and inner in _VOLATILE_FLAGS)]
    return value


def assert_equal(now: dict[str, Any], before: dict[str, Any], why: object = "") -> None:
    """Verify that two dumps are equal. The assertion shows only the differences."""
    differing = {
        name: {"before": _rest(before[name], now[name]), "now": _rest(now[name], before[name])}
        for name in before
        if before[name] != now.get(name)
    }
    assert not differing, f"{why}\n{json.dumps(differing, indent=1)}"


def _rest(some: Any, others: Any) -> Any:
    """Return the parts of one dump that the other one does not have."""
    if isinstance(some, dict) and isinstance(others, dict):
        return {name: _rest(value, others.get(name)) for name, value in some.items() if others.get(name) != value}
    if isinstance(some, list) and isinstance(others, list) and len(some) == len(others):
        return [_rest(one, other) for one, other in zip(some, others) if one != other]
    if isinstance(some, list) and isinstance(others, list):
        return [item for item in some if item not in others]
    return some


def in_sandbox() -> bool:
    """Return whether this process runs in tests/sandbox, where the network of the machine cannot be changed."""
    return any(line.startswith("sandbox /run/netns tmpfs ") for line in Path("/proc/mounts").read_text().splitlines())
