"""Counting by topic, once for many records."""

from prometheus_client import CollectorRegistry, Counter

from crossdock.kernel.process.metrics import Traffic


def test_records_and_their_bytes_are_counted_by_topic() -> None:
    registry = CollectorRegistry()
    records = Counter("records", "records", ["topic"], registry=registry)
    sizes = Counter("sizes", "bytes", ["topic"], registry=registry)
    traffic = Traffic()
    for topic, size in (("a", 5), ("b", 7), ("a", 0)):
        traffic.add(topic, size)

    traffic.count(records, sizes)
    traffic.count(records, sizes)

    found = {
        (sample.name, sample.labels["topic"]): sample.value
        for metric in registry.collect()
        for sample in metric.samples
        if sample.name.endswith("_total")
    }
    assert found == {
        ("records_total", "a"): 4,
        ("records_total", "b"): 2,
        ("sizes_total", "a"): 10,
        ("sizes_total", "b"): 14,
    }
