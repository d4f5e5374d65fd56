"""Every metric's name, unit and meaning, declared once."""

from collections import Counter as Counts
from collections.abc import Mapping

from prometheus_client import Counter, Gauge, Histogram

from crossdock_schemas.accounts.content_filter import CUSTOM, Builtin

RECORDS_POLLED = Counter("crossdock_records_polled", "Kafka records taken in", ["topic"])
RECORDS_SENT = Counter(
    "crossdock_records_sent", "Kafka records acknowledged by the broker", ["topic"]
)
BYTES_POLLED = Counter(
    "crossdock_polled_bytes", "Bytes of keys, values and headers taken in", ["topic"]
)
BYTES_SENT = Counter(
    "crossdock_sent_bytes", "Bytes of records acknowledged, their framing included", ["topic"]
)
COMMITS = Counter("crossdock_commits", "Offset commits")
TRANSACTIONS = Counter("crossdock_transactions", "Kafka transactions", ["outcome"])
TRANSACTION_SECONDS = Histogram("crossdock_transaction_seconds", "From begin to committed")
IN_FLIGHT = Gauge("crossdock_pool_in_flight", "Units of work running in the pool")
CALLS = Counter("crossdock_provider_calls", "Calls to providers", ["provider", "outcome"])
CALL_SECONDS = Histogram("crossdock_provider_call_seconds", "Length of a call", ["provider"])
LINES_DONE = Counter("crossdock_lines_done", "Requests that reached their visible end", ["outcome"])
ROWS_INSERTED = Counter("crossdock_rows_inserted", "Rows acknowledged by ClickHouse", ["table"])
BYTES_INSERTED = Counter(
    "crossdock_inserted_bytes", "Bytes written, as ClickHouse counts them", ["table"]
)
DEAD_LETTERS = Counter("crossdock_dead_letters", "Records that could not be read", ["topic"])
HTTP_REQUESTS = Counter(
    "crossdock_http_requests", "Requests answered by ingress", ["route", "status"]
)
GUARD_FINDINGS = Counter(
    "crossdock_guard_findings", "Sensitive data that policies found in requests", ["detector"]
)
LEASES_LOST = Counter(
    "crossdock_leases_lost", "Partitions whose lease lapsed and that another worker got"
)
JOBS_PARKED = Gauge("crossdock_pool_parked", "Records that another worker still holds")
CALLS_REPEATED = Counter(
    "crossdock_provider_calls_repeated", "Calls repeated because their worker died", ["provider"]
)


class Traffic:
    """Records of one poll or send, by topic: a counter is looked up once for each topic, not for each record."""

    def __init__(self) -> None:
        self._records: Counts[str] = Counts()
        self._bytes: Counts[str] = Counts()

    def add(self, topic: str, size: int) -> None:
        """Add a record of `size` bytes."""
        self._records[topic] += 1
        self._bytes[topic] += size

    def count(self, records: Counter, sizes: Counter) -> None:
        """Add the sums to counters by topic."""
        for topic, number in self._records.items():
            records.labels(topic).inc(number)
            sizes.labels(topic).inc(self._bytes[topic])


def count_findings(findings: Mapping[str, int]) -> None:
    """Count findings; a policy's own patterns count together, because their labels are private."""
    known = {builtin.value for builtin in Builtin}
    for name, count in findings.items():
        GUARD_FINDINGS.labels(name if name in known else CUSTOM).inc(count)
