"""The error tree. A foreign error is translated at its driver's door into one of these.

CrossdockError
├── SettingsError            the environment does not describe a process that could run
├── LogError                 Kafka
│   ├── LogUnreachableError      no broker answers
│   ├── FencedError              another process took this partition over
│   ├── LeaseLostError           another worker may have taken a record over
│   ├── UndecodableError         a record that is none of ours
│   └── TooManyDeadLettersError  nearly no record can be read
├── StoreError               the object store
│   └── NoSuchObjectError
├── TableError               ClickHouse
├── SecretError              a sealed secret that no master key of ours opens
└── ProcessError             a child process, a port, a lock (crossdock.local)
"""


class CrossdockError(Exception):
    """The root. `code` is stable, for logs and metrics; `retryable` says whether trying again can help."""

    code = "internal"
    retryable = False


class SettingsError(CrossdockError):
    """The environment does not describe a process that could run. The message lists every fault at once."""

    code = "bad_settings"


class LogError(CrossdockError):
    """Kafka refused, or could not do what was asked."""

    code = "kafka"
    retryable = True


class LogUnreachableError(LogError):
    """No broker answers."""

    code = "kafka_unreachable"

    def __init__(self, servers: str) -> None:
        super().__init__(
            f"no Kafka broker answers at {servers!r}: start it, or set KAFKA_BOOTSTRAP_SERVERS"
        )
        self.servers = servers


class FencedError(LogError):
    """Another process owns this partition now; this one must let go of it."""

    code = "fenced"
    retryable = False


class LeaseLostError(LogError):
    """A lease lapsed and the group gave the partition away: another worker may do what this one holds there."""

    code = "lease_lost"
    retryable = False

    def __init__(self, partition: int) -> None:
        super().__init__(f"the lease on partition {partition} lapsed, and it is not ours any more")
        self.partition = partition


class UndecodableError(LogError):
    """A record that is none of ours."""

    code = "undecodable"
    retryable = False

    def __init__(self, topic: str, partition: int, offset: int, reason: str) -> None:
        super().__init__(f"cannot read {topic}[{partition}]@{offset}: {reason}")
        self.topic, self.partition, self.offset, self.reason = topic, partition, offset, reason


class TooManyDeadLettersError(LogError):
    """Nearly no record can be read: the process stops, so that somebody looks before a topic is emptied."""

    code = "too_many_dead_letters"
    retryable = False

    def __init__(self, topic: str, partition: int, offset: int, reason: str) -> None:
        super().__init__(
            f"nearly nothing can be read, last {topic}[{partition}]@{offset}: {reason[:200]}; look at "
            "`crossdock dead-letters list`, and whether this version fits what writes to the topic"
        )


class StoreError(CrossdockError):
    """The object store refused."""

    code = "object_store"
    retryable = True


class NoSuchObjectError(StoreError):
    """The object does not exist (any more)."""

    code = "no_such_object"
    retryable = False

    def __init__(self, path: str) -> None:
        super().__init__(f"no object {path!r} in the store")
        self.path = path


class TableError(CrossdockError):
    """ClickHouse refused, or does not answer."""

    code = "clickhouse"
    retryable = True


class SecretError(CrossdockError):
    """A sealed secret does not open: its master key is not among ours, or it is not what was sealed in this place."""

    code = "secret_sealed"

    def __init__(self, credential_id: str, why: str) -> None:
        super().__init__(f"the secret of {credential_id!r} does not open: {why}")
        self.credential_id = credential_id


class ProcessError(CrossdockError):
    """Something about child processes, ports, disks or locks; the message says what to do."""

    code = "process"
