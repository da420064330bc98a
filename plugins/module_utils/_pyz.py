# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program of the next boot as one file: the very sources that this module runs from, the same bytes every time.

To import a module here is what puts it into what Ansible sends to a host; a unit test compares the list with what the program
really imports.
"""

from __future__ import annotations

import io
import zipfile
from types import ModuleType

from ansible_collections.patchbay.netdev.plugins.module_utils import (
    _addresses,
    _argspec,
    _boot,
    _converge,
    _dhcp4,
    _errors,
    _gateway,
    _guard,
    _hook,
    _hook_plan,
    _ip,
    _kinds,
    _lease,
    _model,
    _operations,
    _plan,
    _plan_dhcp,
    _plan_going,
    _plan_routing,
    _preconditions,
    _program,
    _replay,
    _requests,
    _sysctls,
    _values,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._boot import (
    _declarations,
    _files,
    _native,
    _networkmanager,
    _planning,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._boot import _networkd as _networkd_files
from ansible_collections.patchbay.netdev.plugins.module_utils._boot._planning import Engine
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway import (
    _access,
    _announce,
    _clients,
    _codec,
    _devices,
    _dhcp,
    _disk,
    _kernel,
    _leases,
    _lock,
    _management,
    _managers,
    _messages,
    _names,
    _namespaces,
    _networkd,
    _programs,
    _reading,
    _resolver,
    _socket,
    _writing,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway._disk import VERSION
from ansible_collections.patchbay.netdev.plugins.module_utils._operations import (
    _along,
    _ipv6,
    _link_requests,
    _links,
    _netns,
    _next_boot,
    _operation,
    _outcome,
    _serving,
    _traffic,
)

RELEASE = (1, 0, 0)  # that of galaxy.yml
PARTS = (
    *(_addresses, _argspec, _boot, _converge, _dhcp4, _errors, _gateway, _guard, _hook, _hook_plan, _ip, _kinds, _lease),
    *(_model, _operations, _plan, _plan_dhcp, _plan_going, _plan_routing, _preconditions, _program, _replay, _requests),
    *(_sysctls, _values, _declarations, _files, _native, _networkd_files, _networkmanager, _planning),
    *(_access, _announce, _clients, _codec, _devices, _dhcp, _disk, _kernel, _leases, _lock, _management, _managers, _messages),
    *(_names, _namespaces, _networkd, _programs, _reading, _resolver, _socket, _writing),
    *(_along, _ipv6, _link_requests, _links, _netns, _next_boot, _operation, _outcome, _serving, _traffic),
)
_MAIN = f"import sys\nfrom {_program.__name__} import main\nsys.exit(main())\n"


def engine() -> Engine:
    """Stored, sorted, dated 1980: equal sources give equal bytes with every interpreter, so equal bytes mean nothing to do."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_STORED) as archive:
        for path, data in sorted(_sources().items()):
            info = zipfile.ZipInfo(path)
            info.create_system = 3
            info.external_attr = 0o644 << 16
            archive.writestr(info, data)
    return Engine(content.getvalue(), RELEASE)


def _sources() -> dict[str, bytes]:
    """Path in the archive -> content. Every folder gets an __init__.py: without one, zipimport sees no package."""
    found = {"__main__.py": _MAIN.encode(), VERSION: ".".join(str(part) for part in RELEASE).encode()}
    for module in PARTS:
        parts = module.__name__.split(".")
        for depth in range(1, len(parts)):
            found.setdefault("/".join(parts[:depth]) + "/__init__.py", b"")
        found["/".join(parts) + ("/__init__.py" if hasattr(module, "__path__") else ".py")] = _source(module)
    return found


def _source(module: ModuleType) -> bytes:
    """The bytes that the module was loaded from: a checkout, Ansible's payload, or its collection loader."""
    spec = module.__spec__
    if hasattr(module, "__path__"):
        return b""  # empty wherever it comes from
    data: bytes = spec.loader.get_data(spec.origin)  # type: ignore[union-attr]
    return data
