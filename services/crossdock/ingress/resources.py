"""The resources of the API, in the order in which a path looks for its route."""

from crossdock.ingress.management.budgets import BudgetRoutes
from crossdock.ingress.management.keys import KeyRoutes
from crossdock.ingress.values.operations import Operation, operations_of

RESOURCES = (KeyRoutes, BudgetRoutes)
OPERATIONS: tuple[Operation, ...] = tuple(
    operation for resource in RESOURCES for _, operation in operations_of(resource)
)
