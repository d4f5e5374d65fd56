"""Everything that the routes need, as one argument."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from pydantic import SecretStr

from crossdock.ingress.http.backpressure import Gate
from crossdock.ingress.http.batching_producer import Outbox
from crossdock.ingress.http.ports import EventLog
from crossdock.ingress.settings import IngressSettings
from crossdock.ingress.views.accounts import AccountsView, Answers
from crossdock.ingress.views.files_and_batches import BatchesView, FilesView
from crossdock.ingress.views.results import Ring
from crossdock.kernel.drivers.envelope_encryption import MasterKeys
from crossdock.kernel.drivers.http import ask_status
from crossdock.kernel.drivers.object_store import Objects
from crossdock.kernel.process.clock import Clock
from crossdock_schemas.pricing.catalogue import Catalogue

AskStatus = Callable[[str, SecretStr], Awaitable[int | None]]
"""Asks an address with a key; returns the status of the answer, or None if there is none."""


@dataclass
class ApiContext:
    """One ingress: its settings, its views, and its connections to Kafka and the object store."""

    settings: IngressSettings
    catalogue: Catalogue
    clock: Clock
    objects: Objects
    outbox: Outbox
    accounts: AccountsView
    answers: Answers
    files: FilesView
    batches: BatchesView
    ring: Ring
    gate: Gate
    master_keys: MasterKeys | None
    """The keys that seal BYOK keys; None: the installation stores no BYOK keys."""
    ask_status: AskStatus

    def use(self, catalogue: Catalogue) -> None:
        """Answer by `catalogue` from now on."""
        self.catalogue = catalogue


def make_context(
    settings: IngressSettings,
    catalogue: Catalogue,
    clock: Clock,
    objects: Objects,
    log: EventLog,
    *,
    ask_status: AskStatus = ask_status,
) -> ApiContext:
    """Return an ingress with empty views; tails fill them."""
    return ApiContext(
        settings=settings,
        catalogue=catalogue,
        clock=clock,
        objects=objects,
        outbox=Outbox(log, timeout_s=settings.publish_timeout_s),
        accounts=AccountsView(),
        answers=Answers(),
        files=FilesView(),
        batches=BatchesView(),
        ring=Ring(max_count=settings.ring_count, max_bytes=settings.ring_bytes),
        gate=Gate(
            max_waiting=settings.max_waiting,
            max_held_bytes=settings.max_held_bytes,
            waiting_share=settings.max_waiting_per_organization,
            held_share=settings.max_held_bytes_per_organization,
        ),
        master_keys=settings.master_keys(),
        ask_status=ask_status,
    )
