"""The kernel: everything that stages share. The four processing shapes, and one door for each driver.

shard    a partition owned by one worker; state, outputs and positions in one Kafka transaction
agents   faust; stateless routing, read committed, own producer
pool     slow side effects out of order, contiguous commit, pause when full
sink     insert, then commit
"""
