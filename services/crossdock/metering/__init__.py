"""Metering: calls, ends of requests, batches, changes of accounts, postings and alerts, as rows in ClickHouse.

In: accounts.changes, accounts.journal, accounts.alerts, results, batches.results, batches.directory, usage.
Out: dead-letters. Besides: the tables attempts, requests, batches, control_log, journal and alerts.

Guarantee: AT_LEAST_ONCE_INSERTS. Each call and each request is counted once, each change and each posting is listed
once. A crash between insert and commit inserts some rows again, and they collapse: the identity of a call, the number
of a change, and the number and line of a posting are in the sorting key. The first end of a request in the log has the
highest version.
"""
