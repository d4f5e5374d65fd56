"""Values of the API: errors, objects, checks of what callers send. Pure."""
