"""`espalier serve` with many clients that stream at once: memory, time to the first token, tokens a second.

    python -m benchmarks.serve --clients 200 --tokens 64

The server is a process of its own; one client of ten reads nothing for a while, and one of ten leaves after its third
event. Figures are of this machine; memory is the server's own, at its largest beside that before the first client.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

RESULTS = Path(__file__).parent / "results" / "serve.json"
COMMAND = (sys.executable, "-m", "espalier.cli")
SLOW, LEAVES = 3, 7  # of every ten clients, by the last digit of their number
PAUSE, LEFT_AFTER = 1.0, 3  # seconds that a slow client reads nothing; events after which one leaves


@dataclass
class Seen:
    """What one client saw."""

    first: float | None = None  # seconds to its first token
    last: float = 0.0
    events: int = 0
    problem: str = ""


def main() -> None:
    """Measure, print and keep the figures."""
    parser = argparse.ArgumentParser(description="Many streaming clients of one server.")
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--tokens", type=int, default=64, help="of each answer")
    parser.add_argument("--model", default="sprout")
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args()
    words = [*COMMAND, "serve", "--model", given.model, "--port", "0"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            url = next(line.split()[1] for line in server.stdout if line.startswith("protocol"))
            found = asyncio.run(measured(url, server.pid, given))
        finally:
            server.terminate()
    print(json.dumps(found, indent=1))
    given.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


async def measured(url: str, pid: int, given: argparse.Namespace) -> dict[str, Any]:
    """What the clients saw, and what the server's memory came to."""
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(limits=limits, timeout=600, trust_env=False) as http:
        await client(http, url, given, 0)  # the first answer prepares what all share
        before, sizes = resident(pid), list[float]()
        watching = asyncio.create_task(watched(pid, sizes))
        began = time.perf_counter()
        seen = await asyncio.gather(*(client(http, url, given, number) for number in range(given.clients)))
        seconds = time.perf_counter() - began
        watching.cancel()
        after = (await http.get(url.removesuffix("/v1") + "/health")).status_code
    firsts = sorted(one.first for one in seen if one.first is not None)
    return {
        "clients": given.clients, "tokens_each": given.tokens, "model": given.model, "seconds": round(seconds, 2),
        "first_token_median_s": round(statistics.median(firsts), 3), "first_token_most_s": round(firsts[-1], 3),
        "events_per_second": round(sum(one.events for one in seen) / seconds, 1),
        "answered": len(firsts), "problems": sorted({one.problem for one in seen if one.problem}),
        "memory_before_mb": round(before, 1), "memory_most_mb": round(max([before, *sizes]), 1),
        "healthy_after": after == 200,
    }  # fmt: skip


async def client(http: httpx.AsyncClient, url: str, given: argparse.Namespace, number: int) -> Seen:
    """One client: asks, streams, and perhaps reads slowly or leaves."""
    seen, began = Seen(), time.perf_counter()
    body = {
        "model": Path(given.model).name, "stream": True, "max_tokens": given.tokens, "seed": number, "temperature": 1.0,
        "messages": [{"role": "user", "content": f"What is {number} + {number + 1}? Tell me a long story about it."}],
    }  # fmt: skip
    try:
        async with http.stream("POST", f"{url}/chat/completions", json=body) as response:
            async for line in response.aiter_lines():
                if not line.startswith("data: {"):
                    continue
                event = json.loads(line[6:])
                seen.problem = event.get("error", {}).get("message", "")
                seen.first = seen.first or time.perf_counter() - began
                seen.events += 1
                if number % 10 == SLOW and seen.events == 1:
                    await asyncio.sleep(PAUSE)
                if number % 10 == LEAVES and seen.events == LEFT_AFTER:
                    break
    except httpx.HTTPError as problem:
        seen.problem = type(problem).__name__
    seen.last = time.perf_counter() - began
    return seen


async def watched(pid: int, sizes: list[float]) -> None:
    """Look at the server's memory until cancelled."""
    while True:
        sizes.append(resident(pid))
        await asyncio.sleep(0.1)


def resident(pid: int) -> float:
    """Memory of a process, in MB; on Linux."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


if __name__ == "__main__":
    main()
