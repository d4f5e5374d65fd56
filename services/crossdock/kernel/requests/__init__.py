"""Handling of requests that several stages share: keys, preparation, content filter, rejection."""
