"""The built-in catalogue: three simulated providers with overlapping models, so that the router has a choice."""

from decimal import Decimal

from crossdock_schemas import operations
from crossdock_schemas.pricing.catalogue import Catalogue, Offer, Operation, Provider
from crossdock_schemas.pricing.prices import Prices

CHAT: tuple[Operation, ...] = (operations.CHAT.path,)
EMBED: tuple[Operation, ...] = (operations.EMBEDDINGS.path,)

CONTEXT = 128_000
MAX_OUTPUT = 4096  # answers of the simulator have 48 tokens at most, unless a behaviour sets more

# name → (input, output) in USD per million tokens
_MODELS: dict[str, dict[str, tuple[str, str]]] = {
    "sim-atlas": {"tern-mini": ("0.15", "0.60"), "heron-large": ("2.50", "10.00")},
    "sim-borealis": {"tern-mini": ("0.18", "0.54"), "gull-base": ("0.40", "1.60")},
    "sim-cumulus": {"gull-base": ("0.35", "1.75"), "heron-large": ("3.00", "9.00")},
}
_EMBEDDINGS = {"sim-atlas": ("wren-embed", "0.02")}


def simulated_catalogue(port: int) -> Catalogue:
    """Return the simulated providers as the simulator on `port` serves them."""
    return Catalogue(providers=tuple(_provider(name, port) for name in _MODELS))


def _provider(name: str, port: int) -> Provider:
    offers = [
        Offer(
            model=model,
            operations=CHAT,
            context_length=CONTEXT,
            max_output_tokens=MAX_OUTPUT,
            prices=Prices(version="builtin-1", input=Decimal(read), output=Decimal(written)),
        )
        for model, (read, written) in _MODELS[name].items()
    ]
    if name in _EMBEDDINGS:
        model, price = _EMBEDDINGS[name]
        prices = Prices(version="builtin-1", input=Decimal(price))
        offers.append(Offer(model=model, operations=EMBED, prices=prices))
    return Provider(name=name, base_url=f"http://127.0.0.1:{port}/{name}/v1", models=tuple(offers))
