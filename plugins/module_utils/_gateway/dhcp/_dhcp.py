# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""DHCP clients of ours: found again, started and ended. Under systemd each is a unit, elsewhere a process of its own.

A client stays in the foreground, and its number stands in a file with the time at which it has started: what has both is ours.
"""

from __future__ import annotations

import contextlib
import ctypes
import glob
import hashlib
import hmac
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NoReturn

from ansible_collections.patchbay.netdev.plugins.module_utils._boot import _systemd_files as files
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.dhcp import _leases as leases
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.dhcp import _networkd as networkd
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.dhcp import _resolver as resolver
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.dhcp._programs import PROGRAMS, Job
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.host._lock import let_go
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.kernel._namespaces import (
    CLONE_NEWNET,
    CLONE_NEWNS,
    MS_BIND,
    MS_REC,
    MS_SLAVE,
    identity,
    path_of,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._model._clients import Client, ClientKey, Dhcp4
from ansible_collections.patchbay.netdev.plugins.module_utils._model._errors import Refused, RequestFailed
from ansible_collections.patchbay.netdev.plugins.module_utils._model._lease import FOLDER, restored, saved
from ansible_collections.patchbay.netdev.plugins.module_utils._model._lease import path_of as file_of
from ansible_collections.patchbay.netdev.plugins.module_utils._model._links import LinkKey
from ansible_collections.patchbay.netdev.plugins.module_utils._values._dhcp4 import CLIENTS, NETWORKD

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_MACHINE_ID = "/etc/machine-id"
_STEP = 0.02
_START_SECONDS, _END_SECONDS = 5.0, 5.0


def program_for(key: LinkKey, options: Dhcp4 | None) -> str | None:
    """The client that is to serve a link: what was written, what serves it now, or the first one that the host has.

    Refused with a sentence when this host cannot run it.
    """
    if options is None or not options.enabled:
        return None
    if options.client_id == "duid" and not _machine_id():
        raise Refused(
            f"{key}: dhcp4: client_id duid is made of {_MACHINE_ID}, which is empty or not there. "
            "Make one (systemd-machine-id-setup), or write another client_id"
        )
    if options.use_dns:
        try:
            resolver.way(key.netns, key.name)
        except Refused as error:
            raise Refused(f"{key}: dhcp4: {error}") from error
    if options.client is not None:
        refusal = _refusal(options.client, key, options)
        if refusal:
            raise Refused(f"{key}: dhcp4: {refusal}, or leave client out")
        return options.client
    record = leases.read(file_of(key.netns, key.name))
    serving = [record["options"].get("client")] if record is not None else []
    for name in (*serving, *CLIENTS):
        if not _refusal(name, key, options):
            return str(name)
    names = ", ".join(PROGRAMS)
    packages = " or ".join(program.package for program in PROGRAMS.values())
    if networkd.is_there():
        raise Refused(
            f"{key}: dhcp4: there is no DHCP client on this host ({names}) but systemd-networkd, which cannot do what is asked: "
            f"{networkd.refusal(key, options)}, or install one (Debian: apt install {packages})"
        )
    raise Refused(f"{key}: dhcp4: there is no DHCP client on this host ({names}). Install one (Debian: apt install {packages})")


def _refusal(name: str, key: LinkKey, options: Dhcp4) -> str:
    """Why a client cannot serve a link, and what to do; nothing when it can."""
    if name == NETWORKD:
        return networkd.refusal(key, options)
    program = PROGRAMS.get(name)
    if program is None:
        return f"{name} does not serve links in this release. Write another client"
    if _path_of(name) is None:
        return f"there is no {name} on this host. Install it (Debian: apt install {program.package})"
    if key.name.startswith("-") and not program.has_option_for_link:
        return f"{name} takes {key.name} for an option. Write client: udhcpc"
    return ""


def known() -> list[tuple[LinkKey, leases.Record]]:
    """The clients that were started since the boot, by the names that their namespaces had then."""
    found = ((path, leases.read(path)) for path in sorted(glob.glob(f"{FOLDER}/*.json")))
    return [(LinkKey(record["netns"], record["link"]), record) for _path, record in found if record is not None]


def processes() -> set[int]:
    """The ids of those that run. Each ends with its link."""
    found = (_process(file_of(key.netns, key.name)) for key, _record in known())
    return {process for process in found if process is not None}


def client(key: ClientKey, record: Mapping[str, Any], link: tuple[int, str | None] | None) -> Client:
    """A client as it is now; link: index and MAC address of the link that has the name."""
    return Client(
        key,
        Dhcp4(**record["options"]),
        restored(record["lease"]),
        leases.left(record),
        tuple(lease for lease in map(restored, record["former"]) if lease),
        networkd.lives(record["link"], record["networkd"])
        if record["networkd"] is not None
        else _lives_in(file_of(record["netns"], record["link"]), tuple(record["namespace"])),
        link is not None and list(link) == [record["index"], record["address"]],
        record["settled"],
    )


def is_networkds(key: LinkKey) -> bool:
    """Whether networkd serves a link."""
    record = leases.read(file_of(key.netns, key.name))
    return record is not None and record["networkd"] is not None


def is_here(record: Mapping[str, Any], namespace: tuple[int, int]) -> bool:
    """Whether a client without a namespace's name was started in this one: another one has its own without a name."""
    return tuple(record["namespace"]) == namespace


def start(wanted: Client, namespace: tuple[int, int], index: int, address: str | None, netns: str) -> None:
    """Start it in place of one that is there; RequestFailed tells what it said when it does not run.

    netns: the name of the namespace, if it is not the one of this process.
    """
    link, path = wanted.key.link.name, file_of(netns, wanted.key.link.name)
    by_networkd, old = wanted.options.client == NETWORKD, leases.read(path)
    if not (by_networkd and old is not None and old["networkd"] is not None):
        _end(path, link)
        old = None
    if old is not None and old["index"] != index:
        old = None
    before = leases.read(path)
    identifier = _identifier(wanted.options.client_id, address or "")
    known, anew = None, False
    if by_networkd:
        files_before = old["networkd"] if old is not None else None
        known, anew = networkd.prepared(link, index, wanted.options, identifier or b"", files_before)
    job = Job(link, wanted.options, identifier, f"{leases.VARIABLE}={path}", leases.beside(path, "conf"))
    program = PROGRAMS.get(wanted.options.client or "")
    record = {
        "netns": netns,
        "link": link,
        "namespace": list(namespace),
        "index": index,
        "address": address,
        "options": vars(wanted.options),
        "command": program.command(job) if program else [],
        "folders": list(program.folders) if program else [],
        "places": dict(program.places(job)) if program else {},
        "lease": saved(wanted.lease),
        "former": [saved(lease) for lease in wanted.former],
        "settled": wanted.settled,
        "expires": None if by_networkd else leases.end_of(wanted.seconds_left),  # how long its leases hold, networkd knows
        "networkd": known,
        "resolver": resolver.way(netns, link) if wanted.options.use_dns and wanted.lease else "",
    }
    if before is not None and before["resolver"] not in ("", record["resolver"]):
        resolver.withdraw(before["resolver"], link)
    if record["resolver"]:
        resolver.tell(record["resolver"], link, wanted.lease)
    leases.write(path, record)
    if program is None:
        networkd.start(link, index, known or {}, anew, old is not None and old["address"] != address)
        return
    leases.write_text(job.configuration, program.configuration(job))
    if _has_systemd():
        _systemctl("start", _unit(path))
    else:
        _spawn(path)
    for _wait in _until(_START_SECONDS):
        if _process(path) is not None:
            return
    said = _said(path)
    raise RequestFailed(f"the {wanted.key} does not run{': ' if said else ''}{said}", 0, said)


def stop(netns: str, link: str, left: Client | None) -> None:
    """End the client of a link; left: what stays known of it, None for nothing."""
    path = file_of(netns, link)
    _end(path, link)
    record = leases.read(path)
    if left is not None and record is not None:  # it may have been started with other options meanwhile
        leases.write(path, {**record, "options": vars(left.options)})
    elif left is None:
        if record is not None and record["resolver"]:
            with contextlib.suppress(RequestFailed):
                resolver.withdraw(record["resolver"], link)
        leases.forget(path)


def _end(path: str, link: str) -> None:
    """With the hook that it may be running."""
    record = leases.read(path)
    if record is not None and record["networkd"] is not None:
        networkd.stop(link, record["index"], record["networkd"], last=not networkd.records().keys() - {path})
    elif _has_systemd() and os.path.exists(path):
        with contextlib.suppress(RequestFailed):  # a unit that is not known has ended
            _systemctl("stop", _unit(path))
    _kill(path)


def wait_for_lease(netns: str, link: str, seconds: float) -> None:
    """Until the hook has done all that comes of a lease; RequestFailed when there is none by then."""
    path = file_of(netns, link)
    with let_go():
        for _wait in _until(seconds):
            record = leases.read(path)
            if record is not None and record["lease"] is not None and record["settled"]:
                return
    text = f"there is no lease for {link} after {seconds:g} s"
    said = _said(path)
    raise RequestFailed(
        f"{text}{f' (the client said: {said})' if said else ''}. Is there a DHCP server on its network? "
        "Write a larger wait, or none, and the client goes on asking",
        0,
        text,
    )


def run(name: str) -> NoReturn:
    """Become the client of this name: in its namespace, with nothing of the environment."""
    path = f"{FOLDER}/{name}.json"
    record = leases.read(path)
    if record is None:
        raise SystemExit(f"{path} is no file of a DHCP client")
    if record["netns"]:
        with open(path_of(record["netns"]), "rb") as namespace:
            library = ctypes.CDLL(None, use_errno=True)
            if library.setns(namespace.fileno(), CLONE_NEWNET):
                raise SystemExit(f"the namespace {record['netns']} cannot be entered")
    program = _path_of(record["command"][0])
    if program is None:
        raise SystemExit(f"there is no {record['command'][0]} any more")
    if record["folders"] or record["places"]:
        _private(record["folders"], record["places"])
    _note_process(path)
    os.execve(program, record["command"], {"PATH": _PATH, leases.VARIABLE: path})


def _private(folders: Sequence[str], places: Mapping[str, str]) -> None:
    """Have this process, and what becomes of it, see folders of its own, and files of ours in these places."""
    library = ctypes.CDLL(None, use_errno=True)
    steps = [partial(library.unshare, CLONE_NEWNS), partial(library.mount, b"none", b"/", None, MS_REC | MS_SLAVE, None)]
    for folder in folders:
        os.makedirs(folder, exist_ok=True)
        steps.append(partial(library.mount, b"none", folder.encode(), b"tmpfs", 0, b"mode=755"))
    for place, source in places.items():
        steps.append(partial(library.mount, source.encode(), place.encode(), None, MS_BIND, None))
    for step in steps:
        if step():
            raise SystemExit(f"its own view of the files of this host cannot be made: {os.strerror(ctypes.get_errno())}")


def _note_process(path: str) -> None:
    """Which process is the client, and when it has started: whoever has its number later is another one."""
    with open(leases.beside(path, "pid"), "w", encoding="utf-8") as file:
        file.write(f"{os.getpid()} {_start_of(os.getpid())}\n")


def _start_of(process: int) -> str:
    with open(f"/proc/{process}/stat", encoding="utf-8", errors="replace") as file:
        return file.read().rpartition(")")[2].split()[19]


def _identifier(client_id: str, address: str) -> bytes | None:
    """What the client says that it is (option 61)."""
    if client_id == "none":
        return None
    if client_id == "mac":
        return b"\1" + bytes.fromhex(address.replace(":", ""))
    return _duid(address) if client_id == "duid" else bytes.fromhex(client_id.replace(":", ""))


def _duid(address: str) -> bytes:
    """RFC 4361: ff, the last four bytes of the MAC for the link, and a DUID-UUID (RFC 6355) for the machine.

    Nobody can tell the machine's own id from it.
    """
    uuid = hmac.new(_machine_id().encode(), b"patchbay.netdev dhcp4", hashlib.sha256).digest()[:16]
    return b"\xff" + bytes.fromhex(address.replace(":", ""))[-4:].rjust(4, b"\0") + b"\0\4" + uuid


def _machine_id() -> str:
    try:
        with open(_MACHINE_ID, encoding="utf-8") as file:
            return file.read().strip()
    except OSError:
        return ""


def _path_of(program: str) -> str | None:
    return shutil.which(program, path=_PATH)


def _has_systemd() -> bool:
    return os.path.isdir("/run/systemd/system")


def _unit(path: str) -> str:
    return files.CLIENT.replace("@", f"@{files.unit_escape(_name(path))}")


def _name(path: str) -> str:
    return os.path.basename(path)[: -len(".json")]


def _systemctl(verb: str, unit: str) -> None:
    try:
        done = subprocess.run(["systemctl", verb, unit], check=False, capture_output=True, text=True, timeout=60)
    except subprocess.TimeoutExpired as error:
        raise RequestFailed(f"systemctl {verb} {unit} does not end", 0, str(error)) from error
    if done.returncode:
        text = done.stderr.strip() or done.stdout.strip()
        raise RequestFailed(f"systemctl {verb} {unit} failed: {text}", 0, text)


def _process(path: str) -> int | None:
    """The id of the client of a file, if it runs; whoever else has that id by now is nobody of ours."""
    try:
        with open(leases.beside(path, "pid"), encoding="utf-8") as file:
            process, start = file.read().split()
        with open(f"/proc/{process}/comm", encoding="utf-8", errors="replace") as file:
            runs = file.read().strip() in PROGRAMS and _start_of(int(process)) == start
    except (OSError, ValueError):
        return None
    return int(process) if runs else None


def _lives_in(path: str, namespace: tuple[int, int]) -> bool:
    process = _process(path)
    try:
        return process is not None and identity(os.stat(f"/proc/{process}/ns/net")) == namespace
    except FileNotFoundError:  # it has ended since
        return False


def _kill(path: str) -> None:
    process = _process(path)
    if process is None:
        return
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            group = os.getpgid(process)
            os.kill(process, number) if group == os.getpgid(0) else os.killpg(group, number)
        for _wait in _until(_END_SECONDS):
            if _process(path) is None:
                return


def _spawn(path: str) -> None:
    """A process that is nobody's child, in a session of its own."""
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return
    try:
        os.setsid()
        if not os.fork():
            os.chdir("/")
            nothing = os.open(os.devnull, os.O_RDONLY)
            log = os.open(leases.beside(path, "log"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
            for number, opened in enumerate((nothing, log, log)):
                os.dup2(opened, number)
            os.closerange(3, 1024)
            run(_name(path))
    except SystemExit as error:
        os.write(2, f"{error}\n".encode())
    finally:
        os._exit(1)


def _said(path: str) -> str:
    """The last words of a client that has a log."""
    try:
        with open(leases.beside(path, "log"), encoding="utf-8", errors="replace") as file:
            lines: Sequence[str] = file.read().strip().splitlines()
    except OSError:
        return ""
    return lines[-1] if lines else ""


def _until(seconds: float) -> Iterator[None]:
    """Steps until so many seconds are over; one at the least."""
    end = time.monotonic() + seconds
    while True:
        yield
        if time.monotonic() > end:
            return
        time.sleep(_STEP)
