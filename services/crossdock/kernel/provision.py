"""The earlier name of the provision job, for deployments that call `python -m crossdock.kernel.provision`."""

import sys

from crossdock.kernel.process import lifecycle
from crossdock.kernel.provisioning.main import main

if __name__ == "__main__":
    sys.exit(lifecycle.start(main))
