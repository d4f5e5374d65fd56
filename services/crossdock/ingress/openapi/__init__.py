"""The OpenAPI 3.1 document and the reference page, generated from the operations and their models. Pure.

`python -m crossdock.ingress.openapi write` writes openapi.json and api-reference.md in infra/docs; `check` fails when
one is out of date. Every ingress serves the document at GET /openapi.json. Any test of ingress over HTTP fails on an
answer that the document does not describe.
"""
