"""The command line. `app` loads a command when it runs; `shared.doors` loads drivers when a command uses them."""
