"""Measures the engine beside the peer's way of scoring, alternating in one run.

    scripts/bench                                    a small Llama on this machine, 192 sequences
    scripts/bench --shape internlm2-7b --rows 0      all pairs; needs a GPU

The peer (allenai/reward-bench) walks the data in order, in fixed batches, chosen and rejected
apart, padded on the left, with a mask, the cache on, and the head over every position. Weights are
random: speed does not depend on them. Texts are --data's where it is there; else random tokens of
the same lengths and common prefixes within a pair (scripts/bench_lengths.csv).
"""

import argparse
import copy
import csv
import resource
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from transformers import LlamaConfig, LlamaForSequenceClassification

from rmeval.benchmarks.rewardbench import read_rewardbench
from rmeval.engine.forward import forward_padded
from rmeval.engine.memory import flops_per_token, matrix_rate
from rmeval.engine.packable import why_not_packed
from rmeval.engine.plan import Tokens
from rmeval.engine.scoring import Engine, score_sequences
from rmeval.models.network import Network
from rmeval.models.text.day import choose_day
from rmeval.models.text.specials import Specials
from rmeval.models.text.tokenizer import encode_conversations
from rmeval.models.text.tokenizer_files import load_tokenizer
from rmeval.reports.tables import format_rows

HERE = Path(__file__).parent
SHARED = HERE.parents[1] / "shared" / "data"

# hidden, layers, heads, key-value heads, feed-forward, vocabulary
SHAPES = {
    "tiny": (64, 2, 4, 2, 128, 1000),
    "small": (384, 4, 6, 3, 1024, 128256),
    "internlm2-1.8b": (2048, 24, 16, 8, 8192, 92544),
    "internlm2-7b": (4096, 32, 32, 8, 14336, 92544),
    "internlm2-20b": (6144, 48, 48, 8, 16384, 92544),
    "llama-8b": (4096, 32, 32, 8, 14336, 128256),
}


class Way(NamedTuple):
    """A way of scoring: its name, the tokens it puts through the model, and how."""

    name: str
    tokens: int
    score: Callable[[], list[float]]


def main(arguments: Sequence[str] | None = None) -> None:
    """Builds the model, reads the rows, alternates the ways, prints the table."""
    options = parse_options(arguments)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.backends.cuda.enable_cudnn_sdp(False)  # nor does the peer wait for its plans
    dtype = getattr(torch, options.dtype)
    model = random_model(options.shape, device, dtype)
    sequences, tokenising = read_sequences(options.data, options.rows, model.config.vocab_size)
    ways = list_ways(model, sequences, options)
    runs = [measure(ways, device) for _ in range(options.rounds)]
    rate = matrix_rate(device, dtype)
    reference = one_at_a_time(model, sequences[: options.checked])
    real = sum(map(len, sequences))
    print(
        f"{options.shape}, {options.dtype}, {device}, {len(sequences)} sequences of {real:,} tokens"
    )
    print(f"medians of {options.rounds} alternated rounds\n")
    flops_per_second = rate / flops_per_token(as_network(model))
    rows = [
        row(way, runs, i, real, options.peer, flops_per_second, reference)
        for i, way in enumerate(ways)
    ]
    print(format_rows(rows, "table"))
    print(f"\nmatrix rate measured in this run: {rate / 1e12:.2f} TFLOP/s; 'of matrix rate' counts")
    print("the tokens of each row; 'max difference' is to one at a time, over the first sequences")
    whole = tokenising + median_seconds(runs, len(ways) - 1)
    outside = whole - seconds_in_forward(model, ways[-1], device)
    print(
        f"rmeval, packed, from texts to scores: {whole:.2f} s, of which {tokenising:.2f} s tokenise"
    )
    print(f"and {outside:.2f} s ({outside / whole:.1%}) in all are not the model's forward")


def row(
    way: "Way",
    runs: "list[list[Measured]]",
    place: int,
    real: int,
    peers: list[int],
    tokens_per_second: float,
    reference: list[float],
) -> dict[str, Any]:
    """Returns a way's row of the table; the peer's ways are the first ones."""
    seconds = median_seconds(runs, place)
    measured = runs[-1][place]
    differences = (abs(a - b) for a, b in zip(measured.rewards, reference, strict=False))
    return {
        "way": way.name,
        "tokens": f"{way.tokens:,}",
        "seconds": f"{seconds:.2f}",
        "real tokens/s": f"{real / seconds:,.0f}",
        **{f"x batch {n}": median_seconds(runs, i) / seconds for i, n in enumerate(peers)},
        "of matrix rate": f"{way.tokens / seconds / tokens_per_second:.0%}",
        "peak GiB": f"{measured.peak_bytes / 2**30:.2f}",
        "max difference": f"{max(differences):.1e}",
    }


def median_seconds(runs: "list[list[Measured]]", way: int) -> float:
    """Returns the median over the rounds of one way's seconds."""
    return statistics.median(run[way].seconds for run in runs)


def parse_options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--shape", choices=SHAPES, default="small")
    parser.add_argument("--rows", type=int, default=96, help="pairs, evenly spread; 0: all")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--dtype", default="bfloat16" if torch.cuda.is_available() else "float32")
    parser.add_argument(
        "--batch-tokens", type=int, default=16384 if torch.cuda.is_available() else 8192
    )
    parser.add_argument(
        "--peer", type=int, nargs="*", default=[8, 64], help="the peer's batch sizes"
    )
    parser.add_argument("--checked", type=int, default=64, help="sequences compared one at a time")
    parser.add_argument("--data", type=Path, default=SHARED / "hub" / "reward-bench-standin")
    return parser.parse_args(arguments)


def random_model(shape: str, device: torch.device, dtype: torch.dtype) -> Any:
    """Returns a Llama classifier with random weights, made on the device."""
    hidden, layers, heads, kv_heads, ffn, vocabulary = SHAPES[shape]
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=kv_heads,
        intermediate_size=ffn,
        max_position_embeddings=32768,
        num_labels=1,
        pad_token_id=0,
        dtype=dtype,
    )
    torch.manual_seed(0)
    torch.set_default_dtype(dtype)
    with device:
        model = LlamaForSequenceClassification(config)
    torch.set_default_dtype(torch.float32)
    return model.eval().requires_grad_(False)


def seconds_in_forward(model: Any, way: "Way", device: torch.device) -> float:
    """Returns the seconds that one more run of a way spends inside the backbone."""
    marks: list[float] = []

    def mark(*_: Any) -> None:
        if device.type == "cuda":
            torch.cuda.synchronize()
        marks.append(time.perf_counter())

    hooks = [model.model.register_forward_pre_hook(mark), model.model.register_forward_hook(mark)]
    way.score()
    for hook in hooks:
        hook.remove()
    return sum(end - start for start, end in zip(marks[::2], marks[1::2], strict=True))


def read_sequences(data: Path, rows: int, vocabulary: int) -> tuple[list[Tokens], float]:
    """Returns token ids, chosen and rejected in turn, and the seconds spent on tokenising."""
    tokenizer_folder = SHARED / "tokenizers" / "llama3"
    if not data.exists() or not tokenizer_folder.exists():
        return synthetic_sequences(rows, vocabulary), 0.0
    preferences = spread(read_rewardbench(data), rows)
    conversations = [c for preference in preferences for c in preference.conversations()]
    tokenizer = load_tokenizer(tokenizer_folder)
    tokenizer.day = choose_day(None, tokenizer.chat_template, tokenizer_folder)
    started = time.perf_counter()
    ids = encode_conversations(Specials("template", tokenizer), conversations, None)
    sequences = [np.asarray(row, np.int32) % vocabulary for row in ids]
    return sequences, time.perf_counter() - started


def synthetic_sequences(rows: int, vocabulary: int) -> list[Tokens]:
    draw = np.random.default_rng(0)
    with (HERE / "bench_lengths.csv").open() as stream:
        lengths = spread(list(csv.DictReader(stream)), rows)
    sequences = []
    for pair in lengths:
        shared = draw.integers(1, vocabulary, int(pair["shared"]), dtype=np.int32)
        for side in ("chosen", "rejected"):
            own = draw.integers(1, vocabulary, int(pair[side]) - len(shared), dtype=np.int32)
            sequences.append(np.concatenate([shared, own]))
    return sequences


def spread(items: Sequence[Any], wanted: int) -> list[Any]:
    count = len(items) if wanted == 0 else min(wanted, len(items))
    return [items[i * len(items) // count] for i in range(count)]


def list_ways(model: Any, sequences: list[Tokens], options: argparse.Namespace) -> list[Way]:
    network = as_network(model)
    if reason := why_not_packed(network):
        sys.exit(f"rmeval cannot pack this model here: {reason}")
    ways = [
        Way(
            f"peer, batch {size}",
            padded_tokens(sequences, size),
            partial(peer, model, sequences, size),
        )
        for size in options.peer
    ]
    for name, engine in (
        ("rmeval, padded", Engine(options.batch_tokens)),
        ("rmeval, packed", Engine(options.batch_tokens, packed=True)),
    ):
        groups = engine.plan(sequences)
        tokens = sum(engine.cost([sequences[i] for i in group]) for group in groups)
        ways.append(Way(name, tokens, partial(score_sequences, network, sequences, engine)))
    return ways


def as_network(model: Any) -> Network:
    return Network(model.model, copy.deepcopy(model.score).to(torch.float32))


def padded_tokens(sequences: list[Tokens], size: int) -> int:
    return sum(
        len(batch) * max(map(len, batch))
        for side in (sequences[0::2], sequences[1::2])
        for batch in (side[i : i + size] for i in range(0, len(side), size))
    )


@torch.inference_mode()
def peer(model: Any, sequences: list[Tokens], size: int) -> list[float]:
    """The peer's way; returns the rewards in the order of the input."""
    sides = []
    for side in (sequences[0::2], sequences[1::2]):
        rewards: list[float] = []
        for start in range(0, len(side), size):
            batch = side[start : start + size]
            longest = max(map(len, batch))
            ids = torch.zeros(len(batch), longest, dtype=torch.long)
            mask = torch.zeros_like(ids)
            for i, sequence in enumerate(batch):
                ids[i, longest - len(sequence) :] = torch.from_numpy(sequence)
                mask[i, longest - len(sequence) :] = 1
            logits = model(
                input_ids=ids.to(model.device), attention_mask=mask.to(model.device)
            ).logits
            rewards += logits[:, 0].float().tolist()
        sides.append(rewards)
    return [reward for pair in zip(*sides, strict=True) for reward in pair]


class Measured(NamedTuple):
    """One way, measured once. Memory is the device's peak, or on a CPU the process's."""

    rewards: list[float]
    seconds: float
    peak_bytes: int


def measure(ways: list[Way], device: torch.device) -> list[Measured]:
    """Runs every way once, one after the other."""
    measured = []
    for way in ways:
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats()
            torch.cuda.synchronize()
        started = time.perf_counter()
        rewards = way.score()  # ends in a copy to the host, so the device is done
        seconds = time.perf_counter() - started
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        if device.type == "cuda":
            peak = torch.cuda.max_memory_allocated()
        measured.append(Measured(rewards, seconds, peak))
    return measured


@torch.inference_mode()
def one_at_a_time(model: Any, sequences: list[Tokens]) -> list[float]:
    """Returns the rewards of sequences that share a forward pass with nothing."""
    network = as_network(model)
    return [forward_padded(network, [sequence])[0] for sequence in sequences]


if __name__ == "__main__":
    main()
