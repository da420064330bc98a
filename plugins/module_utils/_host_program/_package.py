# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The boot program as one file, packed from the sources that this process runs: the same bytes every time.

It contains all that `_main` imports, directly and indirectly. Ansible packs modules by the same rule, so all of these sources are
on the host.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator
from importlib.machinery import ModuleSpec
from importlib.util import find_spec

from ansible_collections.patchbay.netdev.plugins.module_utils._boot._rendering import Engine
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.host._boot_files import VERSION
from ansible_collections.patchbay.netdev.plugins.module_utils._host_program import _main

RELEASE = (1, 0, 0)  # that of galaxy.yml
_MAIN = f"import sys\nfrom {_main.__name__} import main\nsys.exit(main())\n"
_PACKAGE = _main.__name__.rpartition("._host_program.")[0]
# All imports have this form (ruff enforces it), inside of functions too.
_IMPORT = re.compile(rf"^ *from ({re.escape(_PACKAGE)}[.\w]*) import (\([^)]*\)|[^\n]*)", re.MULTILINE)


def engine() -> Engine:
    """The program. Stored, sorted and dated 1980: the same sources give the same bytes with every interpreter."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_STORED) as archive:
        for path, data in sorted(_sources().items()):
            info = zipfile.ZipInfo(path)
            info.create_system = 3
            info.external_attr = 0o644 << 16
            archive.writestr(info, data)
    return Engine(content.getvalue(), RELEASE)


def _sources() -> dict[str, bytes]:
    """Content by path in the archive. Every folder gets an __init__.py: without one, zipimport finds no package."""
    sources = {"__main__.py": _MAIN.encode(), VERSION: ".".join(str(part) for part in RELEASE).encode()}
    pending = [_main.__name__]
    known = set(pending)
    while pending:
        name = pending.pop()
        parts = name.split(".")
        for depth in range(1, len(parts)):
            sources.setdefault("/".join(parts[:depth]) + "/__init__.py", b"")
        spec = _spec(name)
        if spec.submodule_search_locations is not None:  # a folder: its __init__.py is empty
            sources["/".join(parts) + "/__init__.py"] = b""
            continue
        source = _source(spec)
        sources["/".join(parts) + ".py"] = source
        new = [module for module in _imported(source.decode()) if module not in known]
        known.update(new)
        pending += new
    return sources


def _imported(source: str) -> Iterator[str]:
    """The modules of the engine that a source imports: an imported name is a module, or something inside of one."""
    for module, names in _IMPORT.findall(source):
        for name in re.findall(r"(\w+)(?: as \w+)?", names.partition("#")[0]):
            whole = f"{module}.{name}"
            yield whole if _spec(module).submodule_search_locations is not None and find_spec(whole) is not None else module


def _spec(name: str) -> ModuleSpec:
    spec = find_spec(name)
    if spec is None:
        raise ModuleNotFoundError(name)
    return spec


def _source(spec: ModuleSpec) -> bytes:
    """The bytes that the module is loaded from: a checkout, Ansible's payload, or its collection loader."""
    data: bytes = spec.loader.get_data(spec.origin)  # type: ignore[union-attr]
    return data
