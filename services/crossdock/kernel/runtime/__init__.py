"""The four processing shapes: shard, pool, sink, agents; and dead letters, which all of them write."""
