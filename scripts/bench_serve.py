"""Measures `rmeval serve` beside a blocking server of the usual kind, alternating in one run.

    scripts/bench serve                          a small Llama on this machine, 192 requests
    scripts/bench serve --shape llama-8b --requests 4096 --clients 64 256      needs a GPU

Each client has one request under way, of one conversation, over a connection of its own, as
OpenRLHF sends it. Requests are due at times that are fixed before (open loop): every client sends
its next one when it is due, or as soon as its last is answered, and latency counts from when it was
due. In the first table more is due than can be computed, --saturated times the rate of rmeval's
packed engine offline, which is measured beside it; the second is at --calm times that rate. The
other server is blocking_server.py. Weights are random; texts are --data's where it is there, else
the demo's, and end differently in each run, so that nothing is remembered.
"""

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import torch
import transformers
from bench import SHAPES, SHARED, random_model, spread

import rmeval
from rmeval.benchmarks.rewardbench import read_rewardbench
from rmeval.models.reward_model import RewardModel
from rmeval.models.text.tokenizer import render
from rmeval.records import Conversation
from rmeval.reports.tables import format_rows

HERE = Path(__file__).parent
ROOT = HERE.parent


class Served(NamedTuple):
    """A server that runs: what it is called, and where its requests go."""

    name: str
    host: str
    port: int


class Sent(NamedTuple):
    """What became of the requests of one run: their rewards, the seconds from when each was due."""

    rewards: list[float]
    latencies: list[float]
    seconds: float


def main(arguments: Sequence[str] | None = None) -> None:
    """Starts both servers, alternates between them, prints the tables."""
    options = parse_options(arguments)
    with tempfile.TemporaryDirectory(prefix="rmeval-bench-") as temporary:
        folder = write_model(Path(temporary) / "model", options)
        model = rmeval.load_model(folder)
        talks = read_talks(options.data, options.requests)
        with rmeval_server(folder) as ours, blocking_server(folder) as blocking:
            servers = [blocking, ours]
            for server in servers:
                send_all(server, written(model, marked(talks[:8], "warm")), [0.0] * 8, 4)
            print_heading(options, model, talks)
            for load in (options.saturated, options.calm):
                print_table(model, servers, talks, options.clients, load)


def parse_options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--shape", choices=SHAPES, default="small")
    parser.add_argument("--requests", type=int, default=192, help="conversations in each run")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 64, 256])
    parser.add_argument("--saturated", type=float, default=1.25, help="times the offline rate")
    parser.add_argument("--calm", type=float, default=0.5, help="times the offline rate")
    parser.add_argument("--dtype", default="bfloat16" if torch.cuda.is_available() else "float32")
    parser.add_argument("--data", type=Path, default=SHARED / "hub" / "reward-bench-standin")
    return parser.parse_args(arguments)


def write_model(folder: Path, options: argparse.Namespace) -> Path:
    """Writes a checkpoint with random weights, under Llama 3's tokenizer or the demo's."""
    source = SHARED / "tokenizers" / "llama3"
    if not source.exists():
        source = ROOT / "rmeval" / "data" / "demo" / "model"
    tokenizer = transformers.AutoTokenizer.from_pretrained(source)
    model = random_model(options.shape, torch.device("cpu"), getattr(torch, options.dtype))
    model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    if tokenizer.pad_token is None:  # any that no text ends in
        tokenizer.pad_token = tokenizer.convert_ids_to_tokens(0)
    model.config.pad_token_id = tokenizer.pad_token_id
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def read_talks(data: Path, wanted: int) -> list[Conversation]:
    """Returns conversations: chosen and rejected of a prompt one after the other."""
    if data.exists():
        preferences = list(read_rewardbench(data))
    else:
        preferences = list(rmeval.load_benchmark("demo").preferences)
    pairs = spread(preferences, (wanted + 1) // 2)
    return [talk for pair in pairs for talk in pair.conversations()][:wanted]


def marked(talks: Sequence[Conversation], mark: str) -> list[Conversation]:
    """Returns conversations whose last answer ends in something new."""
    return [(*talk[:-1], talk[-1].saying(f"{talk[-1].content} ({mark})")) for talk in talks]


def written(model: RewardModel, talks: Sequence[Conversation]) -> list[str]:
    """Returns the texts that a training would send."""
    return [render(model.tokenizer, talk, place) for place, talk in enumerate(talks)]


@contextmanager
def rmeval_server(folder: Path) -> Iterator[Served]:
    """`rmeval serve`, as it stands on the command line."""
    command = ["-m", "rmeval", "serve", "--model", str(folder), "--port", "0", "--quiet"]
    with process(command) as line:
        address = urlsplit(line.split(" at ")[-1].strip())
        assert address.hostname is not None
        assert address.port is not None
        yield Served("rmeval serve", address.hostname, address.port)


@contextmanager
def blocking_server(folder: Path) -> Iterator[Served]:
    """A server as most are written; it prints its port when it is ready."""
    with process([str(HERE / "blocking_server.py"), str(folder)]) as line:
        yield Served("blocking", "127.0.0.1", int(line))


@contextmanager
def process(words: Sequence[str]) -> Iterator[str]:
    """A process of Python that runs during the block; gives its first line."""
    running = subprocess.Popen(
        [sys.executable, *words], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert running.stdout is not None
    try:
        line = running.stdout.readline()
        if not line:
            sys.exit(f"{words[0]}: it has ended before it was ready")
        yield line
    finally:
        running.terminate()
        running.communicate(timeout=60)


def send_all(server: Served, texts: Sequence[str], due: Sequence[float], clients: int) -> Sent:
    """Sends each text when it is due, in seconds from now, from so many clients."""
    rewards, latencies = [0.0] * len(texts), [0.0] * len(texts)

    async def client(first: int, started: float) -> None:
        for place in range(first, len(texts), clients):
            await asyncio.sleep(max(0.0, started + due[place] - time.perf_counter()))
            rewards[place] = await _ask(server, texts[place])
            latencies[place] = time.perf_counter() - started - due[place]

    async def send() -> float:
        started = time.perf_counter()
        await asyncio.gather(*(client(first, started) for first in range(clients)))
        return time.perf_counter() - started

    seconds = asyncio.run(send())
    return Sent(rewards, latencies, seconds)


async def _ask(server: Served, text: str) -> float:
    """Asks for the reward of one text as OpenRLHF does, over a connection of its own."""
    reader, writer = await asyncio.open_connection(server.host, server.port)
    body = json.dumps({"query": [text], "prompts": [""], "labels": [""]}).encode()
    head = "POST /get_reward HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
    writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    told = (await reader.readuntil(b"\r\n\r\n")).decode()
    length = next(
        int(line.split(":")[1])
        for line in told.lower().splitlines()
        if line.startswith("content-length:")
    )
    answer = json.loads(await reader.readexactly(length))
    writer.close()
    if " 200 " not in told.splitlines()[0]:
        sys.exit(f"a request was answered so: {answer}")
    return float(answer["rewards"][0])


def print_heading(
    options: argparse.Namespace, model: RewardModel, talks: Sequence[Conversation]
) -> None:
    tokens = sum(len(ids) for ids in model.read(talks))
    print(
        f"{options.shape}, {options.dtype}, {len(talks)} requests of {tokens:,} tokens in each run"
    )


def print_table(
    model: RewardModel,
    servers: Sequence[Served],
    talks: Sequence[Conversation],
    clients: Sequence[int],
    load: float,
) -> None:
    """Prints one row for each number of clients and server, at one load."""
    rows: list[dict[str, Any]] = []
    for count in clients:
        sent = marked(talks, f"{load:g} times, {count} clients")
        rate, expected, tokens = measure_offline(model, sent)
        due = [start / rate / load for start in accumulate(tokens[:-1], initial=0)]
        for server in servers:
            found = send_all(server, written(model, sent), due, count)
            rows.append(row(server.name, count, rate, sum(tokens), found, expected))
    print(f"\ndue: {load:g} times the rate of the packed engine offline\n")
    print(format_rows(rows, "table"), flush=True)


def measure_offline(
    model: RewardModel, talks: Sequence[Conversation]
) -> tuple[float, list[float], list[int]]:
    """Returns tokens/s from texts to rewards, the rewards, and the tokens of each."""
    started = time.perf_counter()
    scores = model.score_conversations(talks)
    seconds = time.perf_counter() - started
    tokens = [score.tokens for score in scores]
    return sum(tokens) / seconds, [score.value for score in scores], tokens


def row(
    name: str, clients: int, rate: float, tokens: int, sent: Sent, expected: Sequence[float]
) -> dict[str, Any]:
    """Returns a row of the table; `rate` is the offline one, measured just before."""
    percentiles = statistics.quantiles(sent.latencies, n=100, method="inclusive")
    differences = (abs(a - b) for a, b in zip(sent.rewards, expected, strict=True))
    return {
        "clients": clients,
        "server": name,
        "tokens/s": f"{tokens / sent.seconds:,.0f}",
        "of offline": f"{tokens / sent.seconds / rate:.0%}",
        "p50": f"{percentiles[49]:.2f} s",
        "p99": f"{percentiles[98]:.2f} s",
        "max difference": f"{max(differences):.1e}",
    }


if __name__ == "__main__":
    main()
