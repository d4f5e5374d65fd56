"""Shard: a partition owned by one worker, with state, outputs and positions in one Kafka transaction."""
