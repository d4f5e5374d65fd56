"""Topics as data: what is on them, who writes and reads them, how long they keep it.

Provisioning, the README's table and the contract documents are made from `TOPICS`.
"""

from dataclasses import dataclass, field
from typing import Literal

from crossdock_schemas.batch import Batch, CancelAsked, PartsPage, Submitted
from crossdock_schemas.file import StoredFile
from crossdock_schemas.fleet import EndpointHealth
from crossdock_schemas.message import Message
from crossdock_schemas.parcel import Lane, Parcel
from crossdock_schemas.result import ResultGroup
from crossdock_schemas.usage import UsageGroup

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS

Cleanup = Literal["delete", "compact"]


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic. `partitions` None means: as many as the installation has shards (CROSSDOCK_PARTITIONS)."""

    name: str
    key: str
    header: type[Message] | None
    """The model in the `crossdock` header; None where the value itself is the message."""
    value: str | tuple[type[Message], ...]
    """The message, or in words what the opaque bytes are."""
    producers: tuple[str, ...]
    consumers: tuple[str, ...]
    cleanup: Cleanup = "delete"
    retention_ms: int | None = 7 * DAY_MS
    partitions: int | None = None
    version: int = 1

    @property
    def ce_type(self) -> str:
        """The CloudEvents type of its records, with the contract's version."""
        return f"crossdock.{self.name.replace('<provider>.<lane>', 'parcel')}.v{self.version}"

    @property
    def config(self) -> dict[str, str]:
        settings: dict[str, str] = {"cleanup.policy": self.cleanup}
        if self.cleanup == "compact":
            settings |= {"min.cleanable.dirty.ratio": "0.2", "segment.ms": str(HOUR_MS)}
        elif self.retention_ms is not None:
            settings |= {"retention.ms": str(self.retention_ms)}
        return settings


LINES = "the callers' lines: JSONL in OpenAI's batch input form"
OUTPUT_LINES = "JSONL in OpenAI's batch output form, one line for each result of the header"

REQUESTS = Topic(
    name="requests",
    key="parcel_id",
    header=Parcel,
    value=LINES,
    producers=("ingress", "batches"),
    consumers=("router",),
)
DISPATCH = Topic(
    name="dispatch.<provider>.<lane>",
    key="parcel_id",
    header=Parcel,
    value=LINES,
    producers=("router", "provider"),
    consumers=("provider",),
)
RESULTS = Topic(
    name="results",
    key="request_id",
    header=ResultGroup,
    value=OUTPUT_LINES,
    producers=("provider", "router"),
    consumers=("ingress", "metering"),
    retention_ms=DAY_MS,
)
BATCH_COMMANDS = Topic(
    name="batches.commands",
    key="batch_id",
    header=None,
    value=(Submitted, CancelAsked),
    producers=("ingress",),
    consumers=("batches",),
)
BATCH_RESULTS = Topic(
    name="batches.results",
    key="batch_id",
    header=ResultGroup,
    value=OUTPUT_LINES,
    producers=("provider", "router", "batches"),
    consumers=("batches", "metering"),
)
BATCH_STATE = Topic(
    name="batches.state",
    key="batch_id/page",
    header=None,
    value="pages of a shard's state, read by their owner alone",
    producers=("batches",),
    consumers=("batches",),
    cleanup="compact",
    retention_ms=None,
)
BATCH_DIRECTORY = Topic(
    name="batches.directory",
    key="batch_id, batch_id/kind/page",
    header=None,
    value=(Batch, PartsPage),
    producers=("batches",),
    consumers=("ingress", "metering"),
    cleanup="compact",
    retention_ms=None,
)
USAGE = Topic(
    name="usage",
    key="account",
    header=None,
    value=(UsageGroup,),
    producers=("provider",),
    consumers=("metering",),
)
FLEET = Topic(
    name="fleet",
    key="endpoint/worker",
    header=None,
    value=(EndpointHealth,),
    producers=("provider",),
    consumers=("router",),
    retention_ms=HOUR_MS,
    partitions=1,
)
FILES = Topic(
    name="files",
    key="file_id",
    header=None,
    value=(StoredFile,),
    producers=("ingress", "batches"),
    consumers=("ingress",),
    cleanup="compact",
    retention_ms=None,
    partitions=1,
)
TOPICS: tuple[Topic, ...] = (
    REQUESTS,
    DISPATCH,
    RESULTS,
    BATCH_COMMANDS,
    BATCH_RESULTS,
    BATCH_STATE,
    BATCH_DIRECTORY,
    USAGE,
    FLEET,
    FILES,
)


def dispatch_topic(provider: str, lane: Lane) -> str:
    return f"dispatch.{provider}.{lane.value}"


@dataclass(frozen=True, slots=True)
class Provisioned:
    """A topic as the broker must have it."""

    name: str
    partitions: int
    config: dict[str, str] = field(default_factory=dict)


def provisioned(providers: tuple[str, ...], partitions: int) -> tuple[Provisioned, ...]:
    """Return every topic that an installation with these providers needs."""
    found: list[Provisioned] = []
    for topic in TOPICS:
        names = [topic.name]
        if topic is DISPATCH:
            names = [dispatch_topic(name, lane) for name in providers for lane in Lane]
        found += [Provisioned(name, topic.partitions or partitions, topic.config) for name in names]
    return tuple(found)
