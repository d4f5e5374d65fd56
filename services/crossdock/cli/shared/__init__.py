"""What the commands share: the installation, clients, output, options."""
