"""The router: orders the endpoints that may serve a parcel into a plan, and sends it to the first.

In: requests (faust, read committed), fleet (every router reads all of it).  Out: dispatch.<provider>.<lane>; results or
batches.results for a parcel that nobody serves.

Guarantee: at least once; the same parcel always takes the same way while the fleet looks the same. A crash between
sending and acknowledging sends a parcel twice; its results are the same requests', and readers keep the first.
"""
