"""The OpenAPI 3.1 document of the HTTP API. Pure.

One module for each module of routes: the schemas of what it takes and shows, and a description of each route. A route
without a description, or a description without a route, fails a test; so does an answer that the document does not
know, in any test of ingress over HTTP.

`python -m crossdock.ingress.openapi write` writes infra/docs/openapi.json, `check` fails when it is out of date; every
ingress serves it at GET /openapi.json.
"""
