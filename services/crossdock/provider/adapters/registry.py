"""The adapters by wire format, as the catalogue names it."""

from collections.abc import Mapping

from crossdock.provider.adapters import openai
from crossdock.provider.adapters.types import Adapter

ADAPTERS: Mapping[str, Adapter] = {"openai": openai}
