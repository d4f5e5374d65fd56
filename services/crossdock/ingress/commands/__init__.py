"""The records that ingress writes, and commands to the accounts shard."""
