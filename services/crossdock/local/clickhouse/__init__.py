"""ClickHouse's engine (chdb) behind ClickHouse's own HTTP interface, on 127.0.0.1.

So every stage and every analyst's client speaks the same protocol as to a server. One process owns the data directory.
"""
