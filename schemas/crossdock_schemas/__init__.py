"""What travels on Crossdock's topics, as types: pydantic and the standard library only.

`topics` names each topic once; the other modules hold one kind of message or value each. JSON Schemas, the AsyncAPI
document and the README's tables are generated from here (`crossdock_schemas.contracts`).
"""
