from typing import get_args

from crossdock.provider.adapters.registry import ADAPTERS
from crossdock.provider.adapters.types import BrokenAnswer
from crossdock_schemas.operations import SPECS
from crossdock_schemas.pricing.catalogue import Provider


def test_every_wire_format_of_the_catalogue_has_an_adapter() -> None:
    assert ADAPTERS.keys() == set(get_args(Provider.model_fields["format"].annotation))


def test_every_adapter_checks_the_answers_of_every_operation() -> None:
    for adapter in ADAPTERS.values():
        for operation in SPECS:
            assert isinstance(adapter.read_answer(operation, b"{}"), BrokenAnswer)
