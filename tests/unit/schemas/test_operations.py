from crossdock_schemas.operations import SPECS
from crossdock_schemas.pricing.catalogue import OPERATIONS


def test_every_operation_of_the_catalogue_has_a_spec() -> None:
    assert tuple(SPECS) == OPERATIONS
