"""Ingress: OpenAI's HTTP face on Crossdock's topics.

In: HTTP; the tails of results, batches.directory and files.  Out: requests, batches.commands, files; contents of files
and large bodies in the object store.

Guarantee: after a 2xx nothing is lost, for the answer is sent only once Kafka has acknowledged the record (and the
object store its object, before the record that names it). A crash
- before the record: the caller has no answer, at most an orphaned object remains;
- after it, before the answer: the work is done without a listener. `Idempotency-Key` lets a caller ask for the
  same batch again; a single request that is asked again runs again.
Ingress keeps nothing of its own: its views are rebuilt from the topics at start, so any number of processes serve
alike.
"""
