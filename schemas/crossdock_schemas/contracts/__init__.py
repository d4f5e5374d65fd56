"""Writes the contract documents from the types: what stands in the repository is what the code says.

`python -m crossdock_schemas.contracts write` writes them, `check` fails when one is missing or out of date:

schemas/json/<Model>.v<n>.json   JSON Schema of every message and envelope, as a reader must accept it
schemas/json/asyncapi.json       AsyncAPI 3.0: the topics, who sends and who receives
infra/docs/topics.md             the topics as a table
infra/docs/tables.md             ClickHouse's tables and views, column by column
"""
