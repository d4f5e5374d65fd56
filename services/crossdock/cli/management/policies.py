"""crossdock policies: list, show, set, clear; `test` is a module of its own."""

from typing import Annotated, Any

import typer

from crossdock.cli.management.policy_dry_run import try_rules
from crossdock.cli.management.policy_options import (
    ALLOWED,
    PARSERS,
    RULE_OPTIONS,
    body_of,
    lifted_by,
    policy_of,
    rule_text,
    rules_of,
    rules_text,
    with_lifted,
)
from crossdock.cli.management.resource import Resource, with_options
from crossdock.cli.management.scopes import ScopeName, scope_of
from crossdock.cli.shared.management_client import Management
from crossdock.cli.shared.options import ReplaceOption
from crossdock.cli.shared.output import show_fields, show_json
from crossdock.kernel.process.errors import ProcessError


def _show(value: Any, *, as_json: bool) -> None:
    if as_json:
        show_json(value)
        return
    rules = policy_of(value).rules
    # why: an empty list and an absent one look alike, and mean the opposite
    nothing = {rule: "nothing" for rule in ALLOWED if value[rule] == []}
    filters = {rule: rule_text(rule, found) for rule in PARSERS if (found := getattr(rules, rule))}
    prices = {name: price for name, price in value["max_price"].items() if price is not None}
    show_fields({**value, **nothing, **filters, "max_price": prices})


policies = Resource(
    "policies",
    help="Policies: which models, providers and prices are allowed.",
    columns=(
        *("scope", "level", ("rules", lambda entry: rules_text(policy_of(entry).rules))),
        *("version", "updated_at"),
    ),
    folded="rules",
    names={"scope": ScopeName},
    parts=lambda management, scope: (scope_of(management, scope),),
    show=_show,
)
app = policies.app
app.command("test")(try_rules)
policies.add_list("List policies.")
policies.add_show("Show the policy of an organization, a project or a key.")


@policies.command("set")
@with_options(RULE_OPTIONS)
def set_(
    management: Management,
    scope: ScopeName,
    lift: Annotated[
        list[str] | None,
        typer.Option("--lift", help="Lift the rule of this option, such as zdr; may be repeated."),
    ] = None,
    replace: ReplaceOption = False,
    **rules: Any,
) -> Any:
    """Set rules of the policy of an organization, a project or a key.

    Rules without an option stay as they are. A list is set as a whole. A request must follow the policies of its
    organization, its project and its key, and needs an endpoint that all of them permit.
    """
    if replace and lift:
        raise ProcessError("--replace lifts all rules without an option: do not pass --lift too")
    lifted = lifted_by(lift or ())
    body = body_of(rules_of(rules)) if not lifted or any(rules.values()) else {}
    path = policies.path(management, scope=scope)
    if replace:
        return management.replace(*path, body=body)
    return management.merge(*path, body=with_lifted(body, lifted))


policies.add_removal(
    "clear",
    "Remove the policy of an organization, a project or a key.",
    lambda entry: f"the policy of the {entry['level']} {entry['scope']!r}",
)
