"""shard: a partition owned by one worker; state, outputs and positions in one Kafka transaction."""
