"""Wire formats: one module for each, all with the functions of `types.Adapter`."""
