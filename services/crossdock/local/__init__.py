"""An installation on one machine: Apache Kafka, ClickHouse's engine behind its HTTP interface, and a supervisor.

Production does not use this package: there the same stages run with other addresses.
"""
