"""Writes the contract documents from the types, so that documents and code agree.

`python -m crossdock_schemas.contracts write` writes them, `check` fails when one is missing or out of date:

schemas/json/<Model>.v<n>.json   JSON Schema of every message and envelope, as a reader must accept it
schemas/json/asyncapi.json       AsyncAPI 3.0: the topics, their senders and receivers
infra/docs/topics.md             topics, stages and guarantees as tables
infra/docs/tables.md             ClickHouse's tables and views, column by column
"""
