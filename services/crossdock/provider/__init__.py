"""Provider workers: they call providers, retry, fall back to the next candidate, and book every call.

In: accounts.secrets, dispatch.<provider>.<lane>, claims, cancels, later.<delay>, later.state.
Out: requests, dispatch.<provider>.<lane>, claims, later.<delay>, later.state, dead-letters, results, batches.results,
usage, fleet.

Guarantee: AT_LEAST_ONCE_CALLS. The offset is committed after usage and results were acknowledged. A crash
- before the claim of a call: no call was made, and the next owner makes it;
- after it: the outcome is unknown to the next owner, unless the claims record that the line ended. The next owner books
  the call as an estimate and repeats it, marked with `repeat_of`.
An orderly stop and a rebalance repeat no call: running calls finish, and waiting lines are given back as a parcel of
the same attempt.
"""
