"""Metering: every call, every request's end and every batch, as rows in ClickHouse.

In: usage, results, batches.results, batches.directory.  Out: the tables attempts, requests, batches.
Guarantee: each execution and each request is counted once. Offsets are committed after the insert was acknowledged; a
crash in between inserts some rows again, and they collapse: an execution's identity is in the sorting key, of a
request's ends the first in its partition's log has the highest version.
"""
