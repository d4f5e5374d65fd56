"""The examples in the guides run as they are written."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from crossdock.local.catalogue import simulated_catalogue
from crossdock_schemas.batches.batch import BatchStatus
from integration.ingress.fakes import API_KEY, OWNER_KEY, Ingress, World, running_ingress
from support.guides import Example, examples, pages

RUN = {"sh": ("bash", "-euo", "pipefail", "-c"), "python": (sys.executable, "-c")}
OF_HTTP = [
    page
    for page in pages()
    if page.stem != "sql" and any(one.language in RUN for one in examples(page))
]


@pytest.mark.parametrize("page", OF_HTTP, ids=lambda page: page.stem)
async def test_every_example_of_a_guide_runs(page: Path, tmp_path: Path) -> None:
    async with running_ingress(World(), catalogue=simulated_catalogue(1)) as ingress:
        environ = dict(os.environ) | {  # noqa: TID251  # a child's environment
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",  # noqa: TID251
            "OPENAI_BASE_URL": f"{ingress.url}/v1",
            "OPENAI_API_KEY": API_KEY,
            "CROSSDOCK_MANAGEMENT_KEY": OWNER_KEY,
            "CROSSDOCK_DATA_DIR": str(tmp_path / "none"),
        }
        async with batches_that_complete(ingress):
            for example in examples(page):
                if example.language in RUN:
                    await run(example, tmp_path, environ)


async def run(example: Example, folder: Path, environ: dict[str, str]) -> None:
    process = await asyncio.create_subprocess_exec(
        *RUN[example.language],
        example.text,
        cwd=folder,
        env=environ,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    told, _ = await process.communicate()
    assert process.returncode == 0, f"{example.text}\n{told.decode()}"


@asynccontextmanager
async def batches_that_complete(ingress: Ingress) -> AsyncIterator[None]:
    async def complete() -> None:
        while True:
            for batch in list(ingress.dock.batches.all()):
                if batch.status is BatchStatus.VALIDATING:
                    await ingress.world.show_parts(batch, [b"{}\n"], status=BatchStatus.COMPLETED)
            await asyncio.sleep(0.05)

    async with asyncio.TaskGroup() as group:
        task = group.create_task(complete())
        yield
        task.cancel()
