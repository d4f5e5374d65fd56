"""One door for each driver: aiokafka, clickhouse-connect, obstore, pyreqwest, cryptography.

Errors of the driver are translated here.
"""
