"""The simulated provider: OpenAI's API with a seed, rate limits, faults, and a ledger of every call.

In: POST /<provider>/v1/chat/completions and /embeddings, GET /<provider>/v1/models, for any provider name; each
provider has its own behaviour and rate limits. Under /_simulator: the behaviours and the ledger (see `control`).
Guarantee: the outcome of a call depends only on (seed, provider, request id, attempt), or on the body if it has no
request id. So a retry may succeed after a failed call, and a run can be repeated. Only rate limits depend on time. A
call is in the ledger, and in its file if there is one, before the first byte of its answer leaves: kill -9 loses no
answered call.

connection (bytes) -> site (paths) -> provider (decides) -> core: answers, embeddings, faults (bytes again)
"""
