"""Topics as data: their messages, writers, readers and retention.

Provisioning, the README's table and the contract documents are made from `TOPICS`.
"""

from dataclasses import dataclass, field

from crossdock_schemas.accounts.alert import Alert
from crossdock_schemas.accounts.control import COMMANDS, Change
from crossdock_schemas.accounts.directory import KINDS
from crossdock_schemas.accounts.journal import Entry
from crossdock_schemas.accounts.secret import SealedSecret
from crossdock_schemas.batches.batch import (
    Batch,
    CancelAsked,
    Granted,
    LinesReturned,
    PartsPage,
    Submitted,
)
from crossdock_schemas.batches.file import StoredFile
from crossdock_schemas.calls.cancel import Cancelled
from crossdock_schemas.calls.claim import ClaimNote
from crossdock_schemas.calls.fleet import EndpointHealth
from crossdock_schemas.calls.usage import UsageGroup
from crossdock_schemas.dead_letter import DeadLetter
from crossdock_schemas.parcel.parcel import Lane, Parcel
from crossdock_schemas.parcel.result import ResultGroup
from crossdock_schemas.topic import DAY_MS, HOUR_MS, Topic

LINES = "the callers' lines: JSONL in OpenAI's batch input form"
OUTPUT_LINES = "JSONL in OpenAI's batch output form, one line for each result of the header"

ACCOUNT_COMMANDS = Topic(
    name="accounts.commands",
    largest=800_000,
    key="account",
    header=None,
    value=COMMANDS,
    producers=("ingress", "accounts", "provision"),
    consumers=("accounts",),
)
ACCOUNT_STATE = Topic(
    name="accounts.state",
    largest=800_000,
    key="account/page",
    header=None,
    value="pages of a shard's state, read only by their owner",
    producers=("accounts",),
    consumers=("accounts",),
    cleanup="compact",
    retention_ms=None,
)
ACCOUNT_DIRECTORY = Topic(
    name="accounts.directory",
    largest=800_000,
    key=f"{', '.join(kind.key for kind in KINDS)}; of an end user or a tag then @ and the account",
    header=None,
    value=tuple(kind.model for kind in KINDS),
    producers=("accounts",),
    consumers=("ingress",),
    cleanup="compact",
    retention_ms=None,
)
ACCOUNT_SECRETS = Topic(
    name="accounts.secrets",
    largest=100_000,
    key="id of the BYOK key",
    header=None,
    value=(SealedSecret,),
    producers=("accounts",),
    consumers=("provider",),
    cleanup="compact",
    retention_ms=None,
)
ACCOUNT_JOURNAL = Topic(
    name="accounts.journal",
    largest=600_000,
    key="account",
    header=None,
    value=(Entry,),
    producers=("accounts",),
    consumers=("metering",),
    retention_ms=30 * DAY_MS,
)
ACCOUNT_CHANGES = Topic(
    name="accounts.changes",
    largest=300_000,
    key="account",
    header=None,
    value=(Change,),
    producers=("accounts",),
    consumers=("ingress", "metering"),
    retention_ms=30 * DAY_MS,
)
ACCOUNT_ALERTS = Topic(
    name="accounts.alerts",
    largest=10_000,
    key="account",
    header=None,
    value=(Alert,),
    producers=("accounts",),
    consumers=("metering",),
    retention_ms=30 * DAY_MS,
)
REQUESTS = Topic(
    name="requests",
    largest=500_000,
    key="account",
    header=Parcel,
    value=LINES,
    producers=("ingress", "batches", "provider"),
    consumers=("accounts",),
)
ADMITTED = Topic(
    name="admitted",
    largest=750_000,
    key="parcel_id",
    header=Parcel,
    value=LINES,
    producers=("accounts",),
    consumers=("router",),
)
DISPATCH = Topic(
    name="dispatch.<provider>.<lane>",
    largest=850_000,
    key="parcel_id",
    header=Parcel,
    value=LINES,
    producers=("router", "provider"),
    consumers=("provider",),
)
RESULTS = Topic(
    name="results",
    largest=600_000,
    key="request_id",
    header=ResultGroup,
    value=OUTPUT_LINES,
    producers=("provider", "router", "accounts"),
    consumers=("ingress", "metering"),
    retention_ms=DAY_MS,
)
BATCH_COMMANDS = Topic(
    name="batches.commands",
    largest=100_000,
    key="batch_id",
    header=None,
    value=(Submitted, CancelAsked, LinesReturned, Granted),
    producers=("ingress", "accounts"),
    consumers=("batches",),
)
BATCH_RESULTS = Topic(
    name="batches.results",
    largest=600_000,
    key="batch_id",
    header=ResultGroup,
    value=OUTPUT_LINES,
    producers=("provider", "router", "accounts", "batches"),
    consumers=("batches", "metering"),
)
BATCH_STATE = Topic(
    name="batches.state",
    largest=910_000,
    key="batch_id/page",
    header=None,
    value="pages of a shard's state, read only by their owner",
    producers=("batches",),
    consumers=("batches",),
    cleanup="compact",
    retention_ms=None,
)
BATCH_DIRECTORY = Topic(
    name="batches.directory",
    largest=910_000,
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
    largest=600_000,
    key="account",
    header=None,
    value=(UsageGroup,),
    producers=("provider", "router"),
    consumers=("accounts", "metering"),
)
FLEET = Topic(
    name="fleet",
    largest=2_000,
    key="endpoint/worker, endpoint@BYOK key/worker",
    header=None,
    value=(EndpointHealth,),
    producers=("provider",),
    consumers=("router",),
    retention_ms=HOUR_MS,
    partitions=1,
)
FILES = Topic(
    name="files",
    largest=10_000,
    key="file_id",
    header=None,
    value=(StoredFile,),
    producers=("ingress", "batches"),
    consumers=("ingress",),
    cleanup="compact",
    retention_ms=None,
    partitions=1,
)
ROUTER_POSITIONS = Topic(
    name="router.positions",
    largest=1_000,
    key="source topic",
    header=None,
    value="the offset up to which a partition's parcels were sent on, as a number in digits",
    producers=("router",),
    consumers=("router",),
    cleanup="compact",
    retention_ms=None,
)
CLAIMS = Topic(
    name="claims",
    largest=600_000,
    key="claim",
    header=None,
    value=(ClaimNote,),
    producers=("provider",),
    consumers=("provider",),
)
CANCELS = Topic(
    name="cancels",
    largest=1_000,
    key="batch_id, request_id, key_id or id of a BYOK key",
    header=None,
    value=(Cancelled,),
    producers=("ingress", "batches", "accounts"),
    consumers=("provider",),
    retention_ms=8 * DAY_MS,
    partitions=1,
)


def _later(delay: str) -> Topic:
    return Topic(
        name=f"later.{delay}",
        largest=850_000,
        key="parcel_id",
        header=Parcel,
        value=LINES,
        producers=("provider",),
        consumers=("provider",),
    )


LATER: dict[int, Topic] = {
    HOUR_MS: _later("1h"),
    300_000: _later("5m"),
    30_000: _later("30s"),
    5_000: _later("5s"),
}
"""Topics of delayed retries by their delay in ms, the longest first: each holds a record that long after its append."""
LATER_STATE = Topic(
    name="later.state",
    largest=1_000,
    key="page",
    header=None,
    value="the positions up to which delayed retries were sent on, read only by their owner",
    producers=("provider",),
    consumers=("provider",),
    cleanup="compact",
    retention_ms=None,
)
DEAD_LETTERS = Topic(
    name="dead-letters",
    largest=1_000_000,
    key="origin, as topic/partition/offset",
    header=DeadLetter,
    value="the record's bytes as they were",
    producers=("accounts", "router", "provider", "batches", "metering"),
    consumers=(),
    retention_ms=30 * DAY_MS,
    partitions=1,
)
TOPICS: tuple[Topic, ...] = (
    ACCOUNT_COMMANDS,
    ACCOUNT_STATE,
    ACCOUNT_DIRECTORY,
    ACCOUNT_SECRETS,
    ACCOUNT_CHANGES,
    ACCOUNT_JOURNAL,
    ACCOUNT_ALERTS,
    REQUESTS,
    ADMITTED,
    DISPATCH,
    ROUTER_POSITIONS,
    CLAIMS,
    CANCELS,
    *LATER.values(),
    LATER_STATE,
    DEAD_LETTERS,
    RESULTS,
    BATCH_COMMANDS,
    BATCH_RESULTS,
    BATCH_STATE,
    BATCH_DIRECTORY,
    USAGE,
    FLEET,
    FILES,
)


def topics_in(stage: str) -> list[Topic]:
    """Return the topics that `stage` reads."""
    return [topic for topic in TOPICS if stage in topic.consumers]


def topics_out(stage: str) -> list[Topic]:
    """Return the topics that `stage` writes."""
    return [topic for topic in TOPICS if stage in topic.producers]


def dispatch_topic(provider: str, lane: Lane) -> str:
    return f"dispatch.{provider}.{lane.value}"


def is_dispatch_topic(name: str) -> bool:
    """Return whether `name` is the dispatch topic of some provider."""
    return name.startswith("dispatch.") and name.rsplit(".", 1)[-1] in {lane.value for lane in Lane}


def later_topic(wait_ms: int) -> Topic | None:
    """Return the topic in which the first part of a wait of `wait_ms` is spent; None if it is too short for any."""
    return next((topic for delay_ms, topic in LATER.items() if delay_ms <= wait_ms), None)


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
