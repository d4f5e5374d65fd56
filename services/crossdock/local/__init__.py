"""One machine, no infrastructure: a real Apache Kafka, ClickHouse's engine behind its HTTP interface, a supervisor.

Nothing here is used in production: there the same stages run with other addresses.
"""
