"""Token counts where a provider gives none. Pure; marked as estimates in the books."""

from crossdock_schemas.tokens import Tokens

CHARS_PER_TOKEN = 4  # OpenAI's rule of thumb for English text


def estimate_tokens(*, prompt_bytes: int, output_chars: int) -> Tokens:
    """Return a guess from lengths, rounded up."""
    return Tokens(
        input=-(-prompt_bytes // CHARS_PER_TOKEN), output=-(-output_chars // CHARS_PER_TOKEN)
    )
