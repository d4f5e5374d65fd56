"""The page of the parameters of requests, from their table."""

from collections.abc import Mapping

from crossdock_schemas.contracts.pages import DO_NOT_EDIT, markdown_table
from crossdock_schemas.pricing.parameters import PARAMETERS, Effect, Parameter

_HEAD = """# Parameters of requests

A parameter can change what a call costs, or what a provider keeps. So each parameter has one type, and its effect is part
of the worst case that is held before the call runs. A wrong value is a 400 that names the parameter; null is as good as
absent. A single request and a line of a batch are checked by the same code, after presets and defaults have filled in
what is missing; the error of a line has the line's number and the place, such as `body.n`.

- A count is a JSON integer: `"100"`, `1e2`, `100.0` and `true` are refused.
- Of a name that appears twice in an object, the last value counts, and only that one is sent to the provider.
- A number that JSON cannot hold in 64 bits, such as `1e400`, is refused. Objects may be nested 200 deep.
- A name that differs from a known one only in case, width or punctuation, such as `Max_Tokens`, is refused.
- `max_tokens` and `max_completion_tokens` together are refused. A preset's limit yields to the request's, whatever its name.
- An array of `content` may have texts, images and sounds; a file, a video or a part of an unknown type is held as a whole
  context. Its cache marks (`cache_control`) have no `ttl` but `5m`.
- Any other parameter is unknown. It is sent to the provider as it is, unless a budget or prepaid credits bind the request:
  then it is a 400 `unknown_parameter`, because its cost is not known. The operator's
  [catalogue](../catalogue.md) can let an endpoint take unknown parameters always (`pass`) or never (`refuse`).
"""
_TITLES: Mapping[Effect, str] = {
    Effect.PRICED: "Part of the worst case",
    Effect.KEPT: "The provider keeps data: a 403 under zero data retention",
    Effect.REFUSED: "Without a price: refused with `unsupported_parameter`",
    Effect.NONE: "Without an effect on the cost",
}


def parameters_page() -> str:
    parts = [f"{DO_NOT_EDIT}\n\n{_HEAD}"]
    for operation, known in PARAMETERS.items():
        parts.append(f"\n## {operation}\n")
        for effect, title in _TITLES.items():
            found = [one for one in known.values() if one.effect is effect]
            if found:
                parts.append(f"\n### {title}\n\n{_section(found)}")
    return "".join(parts)


def _section(parameters: list[Parameter]) -> str:
    rows = [(f"`{one.name}`", one.type.text, one.note) for one in parameters if one.type.schema]
    others = ", ".join(f"`{one.name}`" for one in parameters if not one.type.schema)
    table = markdown_table(("parameter", "type", ""), rows) + "\n"
    return table + (
        f"\nThe others, which other rules or the provider check: {others}.\n" if others else ""
    )
