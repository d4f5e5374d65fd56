"""The pure core of the batches shard: state of batches, lines, parcels, and what becomes visible of them. Pure."""
