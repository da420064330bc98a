# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""AnsibleModule in, result out. The only file that knows AnsibleModule and check mode."""

from __future__ import annotations

import gc

gc.disable()  # before the other imports: a module ends before its garbage matters, and the collector costs a tenth of its time

import contextlib
import errno
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NoReturn

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible.module_utils.common.respawn import has_respawned, probe_interpreters_for_module, respawn_module
from ansible.module_utils.common.sys_info import get_distribution

from ansible_collections.patchbay.netdev.plugins.module_utils._argspec import (
    ALL_NAMESPACES,
    ArgumentSpec,
    advice_for,
    desired_topology,
    namespace,
    read_probe,
    with_long_forms,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._converge._converge import Result, converge
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway._gateway import KernelGateway
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.host._lock import locked
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.host._privileges import may_change_links
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.kernel._listeners import listeners
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.kernel._probe import probe
from ansible_collections.patchbay.netdev.plugins.module_utils._host_program._package import engine
from ansible_collections.patchbay.netdev.plugins.module_utils._model._desired import Desired, writes_host_files
from ansible_collections.patchbay.netdev.plugins.module_utils._model._errors import (
    ApplyFailed,
    InvalidValue,
    Missing,
    MissingLibrary,
    NetdevError,
    NotPermitted,
    RequestFailed,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._model._state import Scope
from ansible_collections.patchbay.netdev.plugins.module_utils._plan._checks import unreadable_sentence
from ansible_collections.patchbay.netdev.plugins.module_utils._result import (
    described_listener,
    module_without_plan,
    result_of_info,
    result_of_module,
    result_of_topology,
    topology_without_plan,
)

SYSTEM_PYTHONS = ("/usr/bin/python3", "/usr/libexec/platform-python")
PACKAGES = {
    "Alpine": "py3-pyroute2 (apk add py3-pyroute2)",
    "Archlinux": "python-pyroute2 (pacman -S python-pyroute2)",
    "Debian": "python3-pyroute2 (apt install python3-pyroute2)",
    "Fedora": "python3-pyroute2 (dnf install python3-pyroute2)",
    "Ubuntu": "python3-pyroute2 (apt install python3-pyroute2)",
}
_ADVICE = "Set become: true, or run the task as root"
ENTERPRISE_LINUX = ("Almalinux", "Centos", "Oraclelinux", "Redhat", "Rocky")


class Module(AnsibleModule):  # type: ignore[misc]
    """A module that accepts the short forms of options, and explains frequent mistakes in its own words."""

    params: dict[str, Any]

    def __init__(self, argument_spec: ArgumentSpec, supports_check_mode: bool) -> None:
        """Read and validate the parameters; a mistake ends the process."""
        self._spec = argument_spec
        self._advice = ""
        super().__init__(argument_spec=argument_spec, supports_check_mode=supports_check_mode)
        self._advice = ""

    def _load_params(self) -> None:
        super()._load_params()
        self._advice = advice_for(self.params, self._spec)
        self.params = with_long_forms(self.params, self._spec)

    def fail_json(self, msg: str, **rest: Any) -> NoReturn:
        """Fail with the message, and with advice where a parameter was not valid."""
        super().fail_json(msg=f"{msg.rstrip('.')}. {self._advice}" if self._advice else msg, **rest)
        raise AssertionError  # fail_json does not return


def run_module(module: AnsibleModule, read: Callable[[Mapping[str, Any]], Sequence[Desired]]) -> None:
    """Manage one object: a topology of one. `read` turns the parameters into the desired state."""
    _converge(module, lambda: read(module.params), result_of_module, module_without_plan)


def run_topology(module: AnsibleModule) -> None:
    """Manage many objects, planned together."""
    _converge(module, lambda: desired_topology(module.params), result_of_topology, topology_without_plan)


def run_info(module: AnsibleModule) -> None:
    """Return links, routes and rules."""

    def info(gateway: KernelGateway) -> dict[str, Any]:
        names = _namespaces_to_read(gateway, module.params["netns"])
        state = gateway.observe(Scope(namespaces=frozenset(names), routing=frozenset(names)))
        if state.unreadable:
            module.warn(unreadable_sentence(state.unreadable))
        return result_of_info(state, gateway.boot_state(False), names, module.params["name"], module.params["kind"])

    _read(module, info)


def run_probe(module: AnsibleModule) -> None:
    """Return which MAC addresses answer for some IP addresses. Check mode sends the same requests."""

    def answers(gateway: KernelGateway) -> dict[str, Any]:
        desired = read_probe(module.params)
        link = replace(desired.link, netns=gateway.canonical(desired.link.netns))
        repliers = probe(gateway.kernel, link, desired.ips, desired.seconds, desired.count)
        return {"answers": [{"address": ip, "macs": macs} for ip, macs in repliers.items()]}

    _read(module, answers)


def run_listeners(module: AnsibleModule) -> None:
    """Return the sockets that listen."""

    def info(gateway: KernelGateway) -> dict[str, Any]:
        namespaces = _namespaces_to_read(gateway, module.params["netns"])
        found, unreadable = listeners(gateway.kernel, namespaces)
        if unreadable:
            module.warn(unreadable_sentence(unreadable))
        return {"listeners": [described_listener(listener) for listener in found]}

    _read(module, info)


def _converge(
    module: AnsibleModule,
    read: Callable[[], Sequence[Desired]],
    shape: Callable[[Result], dict[str, Any]],
    without_plan: Callable[[Sequence[Desired]], dict[str, Any]],
) -> None:
    """Make the desired state true, or in check mode predict that, and exit with the result in this shape.

    without_plan: the result of check mode where something is missing that an earlier task may provide.
    """
    with _errors_reported(module):
        desired = read()
        try:
            with _gateway(module) as gateway, _lock(gateway, desired, module.check_mode):
                result = converge(gateway, desired, not module.check_mode, module.params["allow_lockout"], engine)
        except Missing as error:
            if not module.check_mode:
                raise
            module.warn(
                f"{error.problem}, so check mode cannot plan this task. A real run fails unless an earlier task provides it. "
                "To plan both together, list them in one task of the module topology"
            )
            module.exit_json(**without_plan(desired))
    if module.check_mode and result.operations and not may_change_links():
        module.warn(f"A real run would fail, because this user may not change links. {_ADVICE}")
    for warning in (*result.plan.warnings, *result.boot.warnings):
        module.warn(warning)
    module.exit_json(**shape(result))


def _read(module: AnsibleModule, read: Callable[[KernelGateway], dict[str, Any]]) -> None:
    """Exit with what was read; nothing is changed."""
    with _errors_reported(module), _gateway(module) as gateway:
        result = read(gateway)
    module.exit_json(changed=False, **result)


def _namespaces_to_read(gateway: KernelGateway, option: str | None) -> list[str]:
    try:
        return gateway.all_namespaces() if option == ALL_NAMESPACES else [gateway.canonical(namespace(option))]
    except InvalidValue as error:
        raise InvalidValue(f"netns: {error}") from error


def _lock(gateway: KernelGateway, desired: Sequence[Desired], check_mode: bool) -> contextlib.AbstractContextManager[None]:
    """Where links come back at boot, the program that brings them back must not run at the same moment."""
    has_declarations = gateway.has_declarations() or any(map(writes_host_files, desired))
    return locked() if has_declarations and not check_mode else contextlib.nullcontext()


def _gateway(module: AnsibleModule) -> KernelGateway:
    try:
        return KernelGateway()
    except MissingLibrary as error:
        if not has_respawned():
            interpreter: str | None = probe_interpreters_for_module(SYSTEM_PYTHONS, "pyroute2")
            if interpreter:
                respawn_module(interpreter)  # does not return
        distribution = get_distribution() or ""
        package = PACKAGES.get(distribution)
        if distribution in ENTERPRISE_LINUX:
            package = "python3-pyroute2 from EPEL (dnf install epel-release, then dnf install python3-pyroute2)"
        advice = f"On this {distribution} host the package is {package}" if package else "With pip it is pyroute2>=0.7.2"
        module.fail_json(
            msg=f"{missing_required_lib('pyroute2', url='https://pypi.org/project/pyroute2/')} {advice}. ({error})",
            exception="".join(traceback.format_exception(type(error), error, error.__traceback__)),
        )
        raise AssertionError from error  # fail_json does not return


@contextlib.contextmanager
def _errors_reported(module: AnsibleModule) -> Iterator[None]:
    """Fail the task with the sentence of an error, and with what was rolled back."""
    try:
        yield
    except ApplyFailed as error:
        module.fail_json(msg=_with_advice(error), undone=error.undone, not_undone=error.not_undone)
    except NetdevError as error:
        module.fail_json(msg=_with_advice(error))


def _with_advice(error: NetdevError) -> str:
    """The message of an error, and what to do if the kernel did not permit what was asked of it."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, NotPermitted) or (isinstance(cause, RequestFailed) and cause.errno in (errno.EPERM, errno.EACCES)):
            return f"{str(error).rstrip('.')}. {_ADVICE}" if not may_change_links() else str(error)
        cause = cause.__cause__
    return str(error)
