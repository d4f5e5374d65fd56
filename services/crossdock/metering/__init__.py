"""Metering: calls, requests' ends, batches, changes of accounts and what money did, as rows in ClickHouse.

In: usage, results, batches.results, batches.directory, accounts.changes, accounts.journal.
Out: the tables attempts, requests, batches, control_log, journal.
Guarantee: each execution and each request is counted once, each change is told once, each posting is booked once.
Offsets are committed after the insert was acknowledged; a crash in between inserts some rows again, and they collapse:
an execution's identity, a change's number, an entry's number and a posting's line are in the sorting key, of a
request's ends the first in its partition's log has the highest version.
"""
