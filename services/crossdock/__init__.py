"""Crossdock: a self-hosted, event-driven dock for asynchronous LLM work on Apache Kafka and ClickHouse."""
