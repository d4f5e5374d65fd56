"""Messages on Crossdock's topics, as types: pydantic and the standard library only.

`topics` names each topic once, `stages` each stage; every other module contains one kind of message or value. JSON
Schemas, the AsyncAPI document and tables of pages are generated from here (`crossdock_schemas.contracts`).
"""
