"""Metering: every call, every request's end, every batch and every change of an account, as rows in ClickHouse.

In: usage, results, batches.results, batches.directory, accounts.changes.
Out: the tables attempts, requests, batches, control_log.
Guarantee: each execution and each request is counted once, each change is told once. Offsets are committed after the
insert was acknowledged; a crash in between inserts some rows again, and they collapse: an execution's identity and a
change's number are in the sorting key, of a request's ends the first in its partition's log has the highest version.
"""
