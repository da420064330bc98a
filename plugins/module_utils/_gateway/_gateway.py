# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine's only way to the kernel and the host: `observe` reads and changes nothing, `execute` performs one request.

It is composed of kernel/, dhcp/ and host/, which do not import each other. Code that needs two of them is here.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ansible_collections.patchbay.netdev.plugins.module_utils._gateway._namespace_files import exists
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.dhcp import _clients as clients
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.dhcp._client_choice import choose
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.dhcp._client_records import Record
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.dhcp._foreign_clients import (
    attributed,
    serving,
    sets_link_local,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.host import _boot_files as boot_files
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.host import _reload as programs
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.host._lock import released
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.host._managers import generates_link_local
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.host._name_lookup import number_of_name
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.host._ssh import ssh_addresses
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.kernel import _addresses as addresses
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.kernel import _links as links
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.kernel import _named_namespaces as namespaces
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.kernel import _neighbors as neighbors
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.kernel import _routing as routing
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.kernel._address_messages import (
    as_generated,
    is_user_link_local,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.kernel._kernel import Kernel
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.kernel._links import renames_while_up
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.kernel._management_path import connection
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.kernel._netlink import NetlinkError
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.kernel._observation import Observation, Observer
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._table import kind_of
from ansible_collections.patchbay.netdev.plugins.module_utils._model._boot import BootState
from ansible_collections.patchbay.netdev.plugins.module_utils._model._clients import Client, ClientKey
from ansible_collections.patchbay.netdev.plugins.module_utils._model._desired import (
    Desired,
    DesiredLink,
    DesiredNetns,
    DesiredRoute,
    DesiredRule,
    needs_namespace,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._model._errors import Refused, RequestFailed
from ansible_collections.patchbay.netdev.plugins.module_utils._model._links import HERE, AttributeView, Link, LinkKey
from ansible_collections.patchbay.netdev.plugins.module_utils._model._routing import selectors_of
from ansible_collections.patchbay.netdev.plugins.module_utils._model._source_routing import SourceRouting
from ansible_collections.patchbay.netdev.plugins.module_utils._model._state import Connection, Scope, State
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._requests import (
    AddAddress,
    AddAltname,
    AddNeighbor,
    AddRoute,
    AddRule,
    AnnounceAddresses,
    AwaitAddresses,
    AwaitLease,
    DeleteFile,
    NewLink,
    NewNetns,
    Reload,
    RemoveAddress,
    RemoveAltname,
    RemoveLink,
    RemoveLinks,
    RemoveNetns,
    RemoveRoute,
    RemoveRule,
    RenameLink,
    ReplaceAddress,
    ReplaceRoute,
    Request,
    RunSelfTest,
    SetLink,
    SetNode,
    StartClient,
    StopClient,
    WriteFile,
    WriteSysctl,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._values._dhcp4 import NETWORKD
from ansible_collections.patchbay.netdev.plugins.module_utils._values._names import TABLE, NameOrNumber

Records = Mapping[LinkKey, Record]
_BY_NETWORKD = "systemd-networkd"


# --- DHCP clients, which need the kernel and the lock ---


def start_client(kernel: Kernel, request: StartClient) -> None:
    """Start a DHCP client for a link as it is now."""
    key = request.client.key.link
    namespace, index = kernel.namespace(key.netns), kernel.index(key)
    address = AttributeView(kernel.link_by_index(key.netns, index).attributes).address
    link = clients.ServedLink(key.netns, key.name, namespace.identity, index, address)
    with _foreign_routing_kept(kernel, key, request.client.options.client == NETWORKD):
        clients.start(request.client, link)


def stop_client(kernel: Kernel, request: StopClient) -> None:
    """End the DHCP client of a link."""
    with _foreign_routing_kept(kernel, request.link, False):
        clients.stop(request.link, request.left)


def _foreign_routing_kept(kernel: Kernel, key: LinkKey, starts_networkd: bool) -> contextlib.AbstractContextManager[None]:
    reloads_networkd = starts_networkd or clients.is_served_by_networkd(key)
    return routing.foreign_routing_kept(kernel, key.netns) if reloads_networkd else contextlib.nullcontext()


def await_lease(_kernel: Kernel, request: AwaitLease) -> None:
    """Wait for a lease, without the lock: the hook of the client needs it."""
    with released():
        clients.wait_for_lease(request.link, request.seconds)


# --- requests ---

Handler = Callable[[Kernel, Any], None]


def _on_host(handler: Callable[[Any], None]) -> Handler:
    return lambda _kernel, request: handler(request)


BY_KERNEL: Mapping[type[Any], Handler] = {
    NewNetns: namespaces.create,
    RemoveNetns: namespaces.remove,
    NewLink: links.create,
    SetLink: links.change,
    RemoveLink: links.delete,
    RemoveLinks: links.delete_together,
    RenameLink: links.rename,
    AddAltname: links.add_altname,
    RemoveAltname: links.remove_altname,
    WriteSysctl: links.write_sysctl,
    SetNode: links.set_node,
    AddAddress: addresses.add,
    ReplaceAddress: addresses.replace,
    RemoveAddress: addresses.remove,
    AwaitAddresses: addresses.await_usable,
    AnnounceAddresses: addresses.announce,
    AddNeighbor: neighbors.add,
    AddRoute: routing.add_route,
    ReplaceRoute: routing.replace_route,
    RemoveRoute: routing.remove_route,
    AddRule: routing.add_rule,
    RemoveRule: routing.remove_rule,
}
BY_HOST: Mapping[type[Any], Handler] = {
    WriteFile: _on_host(boot_files.write),
    DeleteFile: _on_host(boot_files.delete),
    Reload: _on_host(programs.reload),
    RunSelfTest: _on_host(programs.run_self_test),
    StartClient: start_client,
    StopClient: stop_client,
    AwaitLease: await_lease,
}
HANDLERS: Mapping[type[Any], Handler] = {**BY_KERNEL, **BY_HOST}


class KernelGateway:
    """The kernel and the host, from the namespace that the process runs in. Close it, or use it in a with statement."""

    def __init__(self, assume_clients_serve: bool = False) -> None:
        """Open nothing yet; MissingLibrary if pyroute2 cannot be imported.

        assume_clients_serve: report every DHCP client as one that runs and serves its link, so that the hook of a client does
        not restart it.
        """
        self.kernel = Kernel()
        self._observer = Observer(self.kernel)
        self._assume_clients_serve = assume_clients_serve
        self._created: set[str] = set()

    def __enter__(self) -> KernelGateway:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all that was opened."""
        self.kernel.close()

    # --- names ---

    def resolve(self, items: Sequence[Desired]) -> tuple[Desired, ...]:
        """The items with one name for each namespace, a DHCP client, and numbers for the names of tables, groups and users."""
        self._created = {item.key.name for item in items if isinstance(item, DesiredNetns)}
        return tuple(self._resolved(item) for item in items)

    def _resolved(self, item: Desired) -> Desired:
        if isinstance(item, DesiredNetns):
            return item
        attributes = self._resolved_attributes(item)
        if isinstance(item, DesiredRule):
            selectors = None if item.key.selectors is None else selectors_of(attributes)
            at = replace(item.key.at, netns=self._netns_of(item))
            return replace(item, key=replace(item.key, at=at, selectors=selectors), attributes=attributes)
        if isinstance(item, DesiredRoute):
            table, netns = item.key.table, self._netns_of(item)
            if isinstance(table, str):
                table = number_of_name(TABLE, table, f"route to {item.key.destination}: table")
            return replace(item, key=replace(item.key, netns=netns, table=table), attributes=attributes)
        key = replace(item.key, netns=self._netns_of(item))
        client = item.client or choose(key, item.dhcp4)
        source_routing = _with_table_number(item.source_routing, key)
        dhcp4 = item.dhcp4
        if dhcp4 is not None:
            dhcp4 = replace(dhcp4, source_routing=_with_table_number(dhcp4.source_routing, key))
        return replace(item, key=key, attributes=attributes, source_routing=source_routing, dhcp4=dhcp4, client=client)

    def _resolved_attributes(self, item: Desired) -> dict[str, object]:
        attributes = dict(item.attributes)
        for name in ("lower_device", "peer"):
            link = attributes.get(name)
            if isinstance(link, LinkKey):
                attributes[name] = self._canonical_link(link)
        for row in kind_of(item.kind or "").rows(attributes):
            value = attributes[row.name]
            if isinstance(row.type, NameOrNumber) and isinstance(value, str):
                attributes[row.name] = number_of_name(row.type, value, f"{item.key}: {row.name}")
        return attributes

    def _canonical_link(self, key: LinkKey) -> LinkKey:
        return replace(key, netns=self._canonical_netns(key.netns))

    def _netns_of(self, item: DesiredLink | DesiredRoute | DesiredRule) -> str:
        """The one name of the namespace of an object; one that does not exist keeps its name, if nothing is needed in it."""
        netns = item.key.netns
        return netns if not needs_namespace(item) and not exists(netns) else self._canonical_netns(netns)

    def _canonical_netns(self, name: str) -> str:
        """The one name of a namespace; one that the task creates has that name already."""
        return name if name in self._created and not exists(name) else self.canonical(name)

    def canonical(self, name: str) -> str:
        """The one name of a namespace; Missing if it does not exist."""
        return self.kernel.namespace(name).name

    def all_namespaces(self) -> list[str]:
        """The namespace that the process runs in, and every named one."""
        return self.kernel.all_namespaces()

    # --- current state ---

    def observe(self, scope: Scope) -> State:
        """Every link of the namespaces that the scope touches, with the lower devices of its links, and their DHCP clients."""
        records = self._client_records()
        observation = self._observer.observe(scope)
        return State(
            _with_clients(observation, records),
            observation.sysctls,
            observation.settings,
            _without_clients(observation),
            observation.routes,
            observation.rules,
            self._clients(records, observation.links),
            observation.neighbors,
            observation.others,
            observation.unreadable,
            renames_while_up(),
        )

    def _client_records(self) -> Records:
        """The records of the DHCP clients of this collection, by link."""
        records: dict[LinkKey, Record] = {}
        for key, record in clients.read_all():
            if key.netns == HERE and not clients.is_in(record, self.kernel.namespace(HERE).identity):
                continue
            with contextlib.suppress(Refused):  # a client whose namespace is gone keeps its name
                key = replace(key, netns=self.canonical(key.netns))
            records[key] = record
        return records

    def _clients(self, records: Records, observed: Sequence[Link]) -> list[Client]:
        """The clients of the namespaces that were read, and of those that are gone."""
        if not records:
            return []
        by_key = {link.key: (link.index or 0, link.address) for link in observed}
        read = {key.netns for key in by_key}
        clients_read = [
            clients.client_of(ClientKey(key), record, by_key.get(key))
            for key, record in records.items()
            if key.netns in read or not exists(key.netns)
        ]
        return (
            [replace(client, is_running=True, matches_link=True) for client in clients_read]
            if self._assume_clients_serve
            else clients_read
        )

    def links_with_client(self) -> Collection[LinkKey]:
        """The links that have a DHCP client of this collection."""
        return self._client_records().keys()

    def connection(self) -> Connection:
        """The links that the management path uses."""
        return connection(self.kernel, ssh_addresses())

    def boot_state(self, ask_managers: bool) -> BootState:
        """The files for the next boot, and the programs that read them. ask_managers: with what network managers report."""
        return boot_files.boot_state(ask_managers)

    def has_declarations(self) -> bool:
        """Whether something is restored at the next boot, or served until then."""
        return boot_files.has_declarations()

    # --- changes ---

    def execute(self, request: Request) -> None:
        """Perform one request; RequestFailed if the kernel or the host refuses it."""
        try:
            HANDLERS[type(request)](self.kernel, request)
        except NetlinkError as error:
            raise RequestFailed(f"the kernel refused to {request}: {error.text}", error.errno, error.text) from error
        except OSError as error:
            text = str(error.strerror)
            refusal = "the kernel refused to" if type(request) in BY_KERNEL else "this host could not"
            raise RequestFailed(f"{refusal} {request}: {text}", error.errno or 0, text) from error


def _with_table_number(source_routing: SourceRouting | None, key: LinkKey) -> SourceRouting | None:
    """Source routing with the number of its table."""
    if source_routing is None or not isinstance(source_routing.table, str):
        return source_routing
    return replace(source_routing, table=number_of_name(TABLE, source_routing.table, f"{key}: source_routing: table"))


def _with_clients(found: Observation, records: Records) -> list[Link]:
    """The links, each with the DHCP client that serves it, where its addresses were read."""
    names: dict[tuple[int, int], set[str]] = {identity: set() for identity in found.identities.values()}
    for link in found.links:
        if link.key.netns in found.identities:
            names[found.identities[link.key.netns]].add(link.key.name)
    netns_of = {identity: netns for netns, identity in found.identities.items()}
    foreign = {LinkKey(netns_of[identity], name): client for (identity, name), client in serving(names).items()}
    by_networkd = {key: _BY_NETWORKD for key, record in records.items() if record["networkd"] is not None}
    serving_clients = {**by_networkd, **foreign}
    links_with_clients = []
    for link in found.links:
        client = serving_clients.get(link.key)
        if link.key.netns in found.identities:
            link = _with_generated_addresses(link, foreign.get(link.key, ""))
        if client is not None and link.key.netns in found.identities:
            served_by = {"served_by": client} if link.key in foreign else {}
            own = attributed(link.addresses, client)
            link = replace(link, attributes={**link.attributes, "addresses": own, **served_by})
        links_with_clients.append(link)
    return links_with_clients


def _with_generated_addresses(link: Link, client: str) -> Link:
    """The link with the origin of link-local addresses that a program generates in the place of the kernel."""
    if not any(is_user_link_local(address) for address in link.addresses):
        return link
    if not (sets_link_local(client) or (link.key.netns == HERE and generates_link_local(link.index or 0))):
        return link
    return link.with_attributes(
        {"addresses": tuple(as_generated(one) if is_user_link_local(one) else one for one in link.addresses)}
    )


def _without_clients(found: Observation) -> list[Any]:
    """The namespaces, without the DHCP clients of this collection among their processes: these end before a namespace does."""
    if not any(netns.processes for netns in found.namespaces):
        return found.namespaces
    own = clients.processes()
    return [replace(netns, processes=tuple(one for one in netns.processes if one not in own)) for netns in found.namespaces]
