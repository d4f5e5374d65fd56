"""Provider keys for calls: installation keys and BYOK keys, access tokens, signatures."""
