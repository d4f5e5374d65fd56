"""The error tree. A foreign error is translated at its driver's door into one of these.

CrossdockError
├── SettingsError            the environment does not describe a process that could run
├── LogError                 Kafka
│   ├── LogUnreachableError      no broker answers
│   ├── LogRefusedError          a broker refuses this process: its user, its TLS, its protocol
│   ├── FencedError              another process took over this partition
│   ├── LeaseLostError           another worker may have taken over a record
│   ├── UndecodableError         a record that cannot be decoded
│   └── TooManyDeadLettersError  nearly no record can be read
├── RecordTooLargeError      a record that Kafka would not take; nothing was sent
├── StoreError               the object store
│   └── NoSuchObjectError
├── TableError               ClickHouse
│   └── RowsRefusedError         a row is at fault, not ClickHouse
├── SecretError              no master key of this process decrypts a secret
└── ProcessError             a child process, a port, a lock (crossdock.local)
"""


class CrossdockError(Exception):
    """The root. `code` is stable, for logs and metrics; `retryable`: a retry can succeed."""

    code = "internal"
    retryable = False


class SettingsError(CrossdockError):
    """The environment does not describe a process that could run. The message lists every fault at once."""

    code = "bad_settings"


class LogError(CrossdockError):
    """Kafka refused a request, or failed at it."""

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


class LogRefusedError(LogError):
    """A broker answers and refuses this process: a retry does not help."""

    code = "kafka_refused"
    retryable = False

    def __init__(self, servers: str, reason: str) -> None:
        super().__init__(f"Kafka at {servers!r} refuses {reason}")
        self.servers = servers


class FencedError(LogError):
    """Another process owns this partition now; this process must release it."""

    code = "fenced"
    retryable = False


class LeaseLostError(LogError):
    """The lease lapsed and the group reassigned the partition: another worker may process its records."""

    code = "lease_lost"
    retryable = False

    def __init__(self, partition: int) -> None:
        super().__init__(
            f"the lease on partition {partition} lapsed, and another worker owns the partition"
        )
        self.partition = partition


class UndecodableError(LogError):
    """A record cannot be decoded."""

    code = "undecodable"
    retryable = False

    def __init__(self, topic: str, partition: int, offset: int, reason: str) -> None:
        super().__init__(f"cannot read {topic}[{partition}]@{offset}: {reason}")
        self.topic, self.partition, self.offset, self.reason = topic, partition, offset, reason


class TooManyDeadLettersError(LogError):
    """Nearly no record can be decoded: the process stops, so that an operator looks before a topic is emptied."""

    code = "too_many_dead_letters"
    retryable = False

    def __init__(self, topic: str, partition: int, offset: int, reason: str) -> None:
        super().__init__(
            f"nearly no record can be decoded, the last one was {topic}[{partition}]@{offset}: {reason[:200]}; see "
            "`crossdock dead-letters list`, and compare this version with the version of the topic's writers"
        )


class RecordTooLargeError(CrossdockError):
    """A record is too large for Kafka. Nothing of its group was sent."""

    code = "record_too_large"

    def __init__(self, topic: str, key: bytes | None, size: int) -> None:
        super().__init__(f"a record of {size} bytes for {topic!r} is too large: key {key!r:.100}")
        self.topic, self.key, self.size = topic, key, size


class StoreError(CrossdockError):
    """The object store refused a request."""

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
    """ClickHouse refused a statement, or does not answer."""

    code = "clickhouse"
    retryable = True


class RowsRefusedError(TableError):
    """A value of a row does not fit its column: no retry can succeed, and the other rows are not at fault."""

    code = "rows_refused"
    retryable = False


class SecretError(CrossdockError):
    """A secret cannot be decrypted: its master key is unknown, or it was encrypted for another credential."""

    code = "secret_sealed"

    def __init__(self, credential_id: str, why: str) -> None:
        super().__init__(f"cannot decrypt the secret of {credential_id!r}: {why}")
        self.credential_id = credential_id


class ProcessError(CrossdockError):
    """A fault of child processes, ports, disks or locks; the message contains the remedy."""

    code = "process"


_OF_A_RECORD = (UndecodableError, RecordTooLargeError, NoSuchObjectError, RowsRefusedError)


def is_poison(error: BaseException) -> bool:
    """Return whether the record at hand is at fault: it fails again however often it is tried.

    An unexpected error of a pure core is; Kafka, a store, the system or the end of a task is not.
    """
    if isinstance(error, BaseExceptionGroup):
        return all(map(is_poison, error.exceptions))
    if isinstance(error, CrossdockError | OSError | MemoryError):
        return isinstance(error, _OF_A_RECORD)
    return isinstance(error, Exception)
