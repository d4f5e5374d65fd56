"""The router: orders the endpoints that may serve a parcel into a plan, and sends the parcel to the first.

In: admitted, router.positions, fleet. Every router reads all of fleet.
Out: dispatch.<provider>.<lane>, router.positions, dead-letters, results, batches.results, usage. A parcel that no
endpoint serves ends in results or batches.results.

Guarantee: EXACTLY_ONCE_OUTPUTS. A parcel is sent on once, whenever a router crashes. A parcel always gets the same plan
while the fleet looks the same.
"""
