"""The simulated provider: OpenAI-shaped, seedable, with real limits, real faults, and a ledger of every call.

In: POST /<provider>/v1/chat/completions and /embeddings, GET /<provider>/v1/models, for any provider name; each has its
own behaviour and its own rate limits. Under /_simulator: the behaviours and the ledger (see `control`).
Guarantee: what a call meets depends on (seed, provider, request id, attempt) alone, so that a retry may succeed where
the first call failed and a run can be repeated; a call without a request id goes by its body. Only rate limits depend
on time. A call is in the ledger, and in its file if there is one, before the first byte of its answer leaves: kill -9
loses no call whose answer somebody saw.

connection (bytes) -> site (paths) -> provider (decides) -> completions, streams, embeddings, spoiling (bytes again)
"""
