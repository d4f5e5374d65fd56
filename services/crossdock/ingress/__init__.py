"""Ingress: the HTTP API on Crossdock's topics.

In: accounts.directory, accounts.changes, results, batches.directory, files. Besides: HTTP.
Out: accounts.commands, requests, cancels, batches.commands, files. Besides: contents of files and large bodies in the
object store.

Guarantee: ACKNOWLEDGED_WRITES. Nothing is lost after a 2xx answer. A crash
- before the record: the caller gets no answer; at most an orphaned object remains;
- after the record, before the answer: the work is done without a listener. With `Idempotency-Key` a caller can submit
  the same batch again; a single request that is sent again runs again.
Ingress stores nothing of its own. It rebuilds its views from the topics at its start, so any number of processes serve
alike.
"""
