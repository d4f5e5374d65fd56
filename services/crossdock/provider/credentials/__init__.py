"""Keys of providers in use: the installation's and BYOK keys, access tokens, signatures."""
