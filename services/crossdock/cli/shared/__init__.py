"""Parts that several commands use: the installation, clients, doors, options, output."""
