"""Token counts in one canonical form, whatever the provider's dialect (as genai-prices counts them)."""

from crossdock_schemas.message import Message


class Tokens(Message):
    """Counts of one call. `cached` and `cache_write` are part of `input`; `reasoning` is part of `output`."""

    input: int = 0
    cached: int = 0
    cache_write: int = 0
    output: int = 0
    reasoning: int = 0

    @property
    def total(self) -> int:
        return self.input + self.output

    def within(self, input_most: int, output_most: int) -> "Tokens":
        """Return the counts up to these totals; itself where it has no more."""
        if self.input <= input_most and self.output <= output_most:
            return self
        inputs, output = min(self.input, input_most), min(self.output, output_most)
        cached = min(self.cached, inputs)
        return Tokens(
            input=inputs,
            cached=cached,
            cache_write=min(self.cache_write, inputs - cached),
            output=output,
            reasoning=min(self.reasoning, output),
        )

    def __add__(self, other: "Tokens") -> "Tokens":
        return Tokens(
            input=self.input + other.input,
            cached=self.cached + other.cached,
            cache_write=self.cache_write + other.cache_write,
            output=self.output + other.output,
            reasoning=self.reasoning + other.reasoning,
        )
