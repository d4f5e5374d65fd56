"""All that the routes stand on, as one argument."""

from dataclasses import dataclass

from crossdock.ingress.accounts import AccountsView, Answers
from crossdock.ingress.directory import BatchesView, FilesView
from crossdock.ingress.gate import Gate
from crossdock.ingress.outbox import Outbox
from crossdock.ingress.ports import Log
from crossdock.ingress.ring import Ring
from crossdock.ingress.settings import IngressSettings
from crossdock.kernel.clock import Clock
from crossdock.kernel.objects import Objects
from crossdock_schemas.catalogue import Catalogue


@dataclass(frozen=True)
class Dock:
    """One ingress: its settings, its views, and its ways to Kafka and to the object store."""

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


def make_dock(
    settings: IngressSettings, catalogue: Catalogue, clock: Clock, objects: Objects, log: Log
) -> Dock:
    """Return an ingress with empty views; tails fill them."""
    return Dock(
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
        gate=Gate(max_waiting=settings.max_waiting, max_held_bytes=settings.max_held_bytes),
    )
