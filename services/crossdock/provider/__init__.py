"""Provider workers: call providers, retry, fall back, and book every call.

In: dispatch.<provider>.<lane>.  Out: usage, then results or batches.results; the next candidate's dispatch; fleet.

Guarantee: nothing is lost, and every call whose outcome this process saw is one usage row, published before the result
that it led to. The offset is committed after all of it was acknowledged. A crash
- during a call: the parcel is delivered again and its lines are called again;
- between usage and result, or before the commit (every 0.5 s): the lines are called again, as other executions;
  readers keep the first result.
An orderly stop and a rebalance repeat no call: calls that run are finished, lines that wait are given back as a parcel
of the same attempt.
"""
