from crossdock_schemas.operations import SPECS
from crossdock_schemas.pricing.catalogue import OPERATIONS


def test_every_operation_of_the_catalogue_has_a_spec() -> None:
    assert tuple(SPECS) == OPERATIONS


def test_the_required_field_of_an_operation_is_read_as_text() -> None:
    assert all(spec.required in spec.text_fields for spec in SPECS.values())
