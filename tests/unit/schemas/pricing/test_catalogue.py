"""A catalogue is data: merged in order, closed to typos, asked by model and operation."""

import pytest
from pydantic import ValidationError

from crossdock_schemas.pricing.catalogue import Catalogue, Offer, Provider, merge_catalogues
from crossdock_schemas.pricing.prices import Prices

CHAT, EMBED = "/v1/chat/completions", "/v1/embeddings"


def make_provider(name: str, *models: str, url: str = "http://x") -> Provider:
    offers = tuple(Offer(model=model, prices=Prices()) for model in models)
    return Provider(name=name, base_url=url, models=offers)


def test_who_serves_a_model_is_told_in_the_order_of_the_files() -> None:
    catalogue = Catalogue(
        providers=(make_provider("b", "tern"), make_provider("a", "tern", "gull"))
    )

    assert [e.name for e in catalogue.serving("tern", CHAT)] == ["b/tern", "a/tern"]
    assert catalogue.serving("tern", EMBED) == ()
    assert catalogue.serving("nobody", CHAT) == ()
    assert catalogue.models == {"tern": {CHAT}, "gull": {CHAT}}
    assert catalogue.by_name["a"].models[1].model == "gull"


def test_a_model_may_serve_two_operations_at_two_providers() -> None:
    wren = Offer(model="wren", operations=(EMBED,), upstream_model="w-1", prices=Prices())
    catalogue = Catalogue(
        providers=(
            make_provider("a", "wren"),
            Provider(name="b", base_url="http://x", models=(wren,)),
        )
    )

    assert catalogue.models == {"wren": {CHAT, EMBED}}
    assert [e.upstream_model for e in catalogue.endpoints] == ["wren", "w-1"]


def test_of_two_providers_with_one_name_the_later_file_wins() -> None:
    first = Catalogue(providers=(make_provider("a", "tern"), make_provider("b", "gull")))
    later = Catalogue(providers=(make_provider("a", "heron", url="http://y"),))

    merged = merge_catalogues([first, later])

    assert [(p.name, p.base_url) for p in merged.providers] == [
        ("a", "http://y"),
        ("b", "http://x"),
    ]
    assert merged.serving("tern", CHAT) == ()


def test_a_name_twice_in_one_file_is_an_error() -> None:
    with pytest.raises(ValidationError, match="provider named twice: a"):
        Catalogue(providers=(make_provider("a"), make_provider("a")))


@pytest.mark.parametrize(
    "change", [{"name": "Has Spaces"}, {"base_ulr": "typo"}, {"max_calls": 0}, {"format": "other"}]
)
def test_a_provider_that_cannot_be_is_refused(change: dict[str, object]) -> None:
    values = {"name": "a", "base_url": "http://x", "models": []}

    with pytest.raises(ValidationError):
        Provider.model_validate(values | change)
