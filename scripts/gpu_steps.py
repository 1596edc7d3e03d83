"""The steps of `scripts/gpu`: what the engine does on a GPU, each with what is expected of it."""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[1]
HEADS = ((32, 8), (8, 8), (8, 1))


class Finding(NamedTuple):
    """What a step found, what was expected, and whether that is so; None is for reading.

    `facts` are its numbers by name, for the JSON file.
    """

    figure: str
    expected: str
    holds: bool | None
    facts: dict[str, Any] = {}  # noqa: RUF012


Step = Callable[[argparse.Namespace], Finding]


def versions(options: argparse.Namespace) -> Finding:
    """Names what this machine is."""
    import torch

    import rmeval

    card = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    cudnn = torch.backends.cudnn.version()
    figure = f"rmeval {rmeval.__version__}, torch {torch.__version__}, cuDNN {cudnn}, {card}"
    return Finding(figure, "a GPU of compute capability 8.0 or later", None)


def kernel(options: argparse.Namespace) -> Finding:
    """Holds the fused call to a softmax written out in float64, and to itself among neighbours."""
    import torch

    sys.path += [str(ROOT / "tests"), str(ROOT / "tests/engine")]
    from test_attention import SEQUENCES, attend, pack_of, random_states, softmax_written_out

    largest, moved = 0.0, 0
    kinds = [(d, h, w) for d in (64, 80, 96, 128, 256) for h in HEADS for w in (None, 1, 100)]
    for head_dim, (heads, kv_heads), window in kinds[:: 10 if options.rehearse else 1]:
        for dtype in (torch.float16, torch.bfloat16):
            states = random_states(pack_of(), heads, kv_heads, head_dim, dtype)
            there = [state.to(device()) for state in states]
            out = attend(pack_of(), there, scaling=head_dim**-0.5, sliding_window=window).cpu()
            expected = softmax_written_out(SEQUENCES, states, head_dim**-0.5, window)
            largest = max(largest, float((out.double() - expected).abs().max()))
            first = len(SEQUENCES[0])  # the first in order shares nothing with those before it
            alone = attend(
                pack_of(SEQUENCES[:1]),
                [state[:, :, :first] for state in there],
                scaling=head_dim**-0.5,
                sliding_window=window,
            ).cpu()
            moved += not torch.equal(alone, out[:, :first])
    figure = f"largest error {largest:.3f}; {moved} of {2 * len(kinds)} moved by neighbours"
    return Finding(figure, "error up to 0.03, none moved", largest <= 0.03 and moved == 0)


def tests(options: argparse.Namespace) -> Finding:
    """Runs the tests that need a GPU."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-m", "gpu", "tests/engine", "tests/models"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    last = (done.stdout.strip() or done.stderr.strip()).splitlines()[-1]
    passed = done.returncode == 0 and (" passed" in last or not on_gpu())
    return Finding(last, "all passed", passed)


def golden(options: argparse.Namespace) -> Finding:
    """Scores the golden checkpoints on the device; in float32 they are their authors' scores."""
    import rmeval

    largest, paths = 0.0, []
    for folder in sorted((ROOT / "tests/golden").iterdir())[:: 8 if options.rehearse else 1]:
        if not (folder / "cases.jsonl").exists():
            continue
        lines = (folder / "cases.jsonl").read_text(encoding="utf-8").splitlines()
        cases = [json.loads(line) for line in lines]
        ids = [case["input_ids"] for case in cases]
        exact = rmeval.load_model(str(folder), device=str(device()), dtype="float32")
        scores = exact.score_tokens(ids)
        errors = (abs(a - case["score"]) for a, case in zip(scores, cases, strict=True))
        largest = max(largest, *errors)
        coarse = rmeval.load_model(str(folder), device=str(device()), dtype="bfloat16")
        paths.append(coarse.engine_provenance()["path"])
    figure = f"largest error {largest:.1e}; {paths.count('packed')} of {len(paths)} packed"
    return Finding(
        figure, "up to 5e-5; all packed but those that the gate refuses", largest <= 5e-5
    )


def cudnn(options: argparse.Namespace) -> Finding:
    """Measures what a new shape costs in cuDNN's attention, which no forward here takes."""
    import torch
    from torch.nn.functional import scaled_dot_product_attention as sdpa

    seconds = []
    before = torch.backends.cuda.cudnn_sdp_enabled()
    for allowed in (True, False):
        torch.backends.cuda.enable_cudnn_sdp(allowed)
        started = time.perf_counter()
        for place in range(20):
            shape = (4, 8, 100 + 7 * place + allowed, 128)
            states = torch.randn(shape, device=device(), dtype=torch.bfloat16)
            sdpa(states, states, states, is_causal=True).sum().item()
        seconds.append((time.perf_counter() - started) / 20)
    torch.backends.cuda.enable_cudnn_sdp(before)
    figure = f"{seconds[0]:.3f} s a new shape with it, {seconds[1]:.3f} s without"
    facts = {"with": round(seconds[0], 4), "without": round(seconds[1], 4)}
    return Finding(figure, "under 0.02 s without", seconds[1] < 0.02 if on_gpu() else None, facts)


def timed(shape: str, size: str, *, padded: bool) -> Step:
    """Returns a step that scores all pairs with a model of random weights."""

    def step(options: argparse.Namespace) -> Finding:
        import bench
        import torch

        arguments = ["--shape", shape, "--rows", "0", "--peer"]
        if options.rehearse:
            arguments = ["--shape", "tiny", "--rows", "6", "--data", "none", "--peer"]
        chosen = bench.parse_options(arguments)
        dtype = getattr(torch, chosen.dtype)
        model = bench.random_model(chosen.shape, device(), dtype)
        rows = bench.read_sequences(chosen.data, chosen.rows, model.config.vocab_size)[0]
        rate = bench.matrix_rate(device(), dtype) / bench.flops_per_token(bench.as_network(model))
        lines, facts = [], {}
        for way in bench.list_ways(model, rows, chosen)[0 if padded else 1 :]:
            measured = bench.measure([way], device())[0]
            share = way.tokens / measured.seconds / rate
            lines.append(
                f"{way.name} {measured.seconds:.1f} s, {share:.0%} of {rate:,.0f} tokens/s"
            )
            facts[way.name] = round(measured.seconds, 2)
            facts[f"{way.name}, of matrix rate"] = round(share, 3)
        return held_to_the_model("; ".join(lines), facts, size)

    step.__name__ = shape
    return step


def held_to_the_model(figure: str, facts: dict[str, Any], size: str) -> Finding:
    """Holds the packed seconds of all pairs to those of `scripts/gpu_model.py` for this card."""
    from gpu_model import expected

    from rmeval.cards import known_cards
    from rmeval.engine.estimate import MARGIN

    card = known_cards().get(card_here() or "")
    if card is None:
        return Finding(figure, "no card of the table is here: nothing", None, facts)
    whole = sum(expected(size, card).values())
    low, high = (1 - MARGIN) * whole, (1 + MARGIN) * whole
    told = f"packed in {low:.1f} to {high:.1f} s on {card.name}, by scripts/gpu_model.py"
    return Finding(
        figure, told, facts["rmeval, packed"] <= high, {**facts, "model": round(whole, 2)}
    )


def card_here() -> str | None:
    """Returns the name in the table of the card that is here, or None."""
    import torch

    from rmeval.cards import known_cards

    if not on_gpu():
        return None
    letters = "".join(filter(str.isalnum, torch.cuda.get_device_name().lower()))
    total = torch.cuda.get_device_properties(0).total_memory
    alike = [
        card
        for card in known_cards().values()
        if card.name.partition("-")[0] in letters and abs(card.memory / total - 1) < 0.1
    ]
    return alike[0].name if alike else None


def halved(options: argparse.Namespace) -> Finding:
    """Asks for more tokens in a pass than any memory holds: it goes on in parts."""
    import bench
    import torch

    from rmeval.engine.scoring import Engine, score_sequences

    shape = "tiny" if options.rehearse else "llama-8b"
    model = bench.random_model(shape, device(), torch.bfloat16 if on_gpu() else torch.float32)
    network = bench.as_network(model)
    rows = bench.synthetic_sequences(4 if options.rehearse else 1500, model.config.vocab_size)
    whole, usual = (
        score_sequences(network, rows, Engine(tokens, packed=True)) for tokens in (10**6, 16384)
    )
    largest = max(abs(a - b) for a, b in zip(whole, usual, strict=True))
    spread = max(usual) - min(usual)
    return Finding(f"{largest / spread:.4f} of the spread", "up to 0.05", largest <= 0.05 * spread)


def profile(options: argparse.Namespace) -> Finding:
    """Looks into a few packs of an 8B: which kernels take the time, and when the card waits."""
    import bench
    import torch
    from torch.profiler import ProfilerActivity
    from torch.profiler import profile as profiled

    from rmeval.engine.scoring import Engine, score_sequences

    shape = "tiny" if options.rehearse else "llama-8b"
    model = bench.random_model(shape, device(), torch.bfloat16 if on_gpu() else torch.float32)
    network = bench.as_network(model)
    rows = bench.synthetic_sequences(12 if options.rehearse else 150, model.config.vocab_size)
    engine = Engine(1024 if options.rehearse else 16384, packed=True)
    score_sequences(network, rows, engine)  # what is done once is done
    kinds = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_gpu() else [])]
    with profiled(activities=kinds) as seen:
        score_sequences(network, rows, engine)
    where = "CUDA" if on_gpu() else "CPU"
    kernels = [
        (event.name, event.time_range.start, event.time_range.end)
        for event in seen.events()
        if event.device_type.name == where
    ]
    idle, shares = look_into(kernels)
    gathered = sum(share for name, share in shares.items() if "index" in name.lower())
    top = ", ".join(f"{name[:40]} {share:.0%}" for name, share in list(shares.items())[:5])
    figure = f"idle {idle:.1%}, indexing {gathered:.1%}; {top}"
    holds = idle <= 0.05 and gathered <= 0.02
    facts = {"idle": round(idle, 4), "indexing": round(gathered, 4)}
    return Finding(figure, "idle up to 5 %, indexing up to 2 %", holds if on_gpu() else None, facts)


def look_into(kernels: list[tuple[str, float, float]]) -> tuple[float, dict[str, float]]:
    """Returns the share of time in which no kernel ran, and each name's share of the kernels' time.

    A kernel is its name, its start and its end; the largest share comes first.
    """
    busy, reached = 0.0, min(start for _, start, _ in kernels)
    whole = max(end for _, _, end in kernels) - reached
    taken: dict[str, float] = {}
    for name, start, end in sorted(kernels, key=lambda kernel: kernel[1]):
        taken[name] = taken.get(name, 0.0) + end - start
        busy += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    in_all = sum(taken.values())
    shares = {name: spent / in_all for name, spent in sorted(taken.items(), key=lambda t: -t[1])}
    return 1 - busy / whole, shares


def spread(options: argparse.Namespace) -> Finding:
    """Loads a 1.8B beside a tensor that fills the card: spread, and the same scores."""
    import bench
    import torch

    import rmeval

    shape = "tiny" if options.rehearse else "internlm2-1.8b"
    with tempfile.TemporaryDirectory() as folder:
        model = bench.random_model(shape, torch.device("cpu"), torch.bfloat16)
        model.save_pretrained(folder)
        weights = sum(parameter.nbytes for parameter in model.parameters())
        rows = [row.tolist() for row in bench.synthetic_sequences(32, model.config.vocab_size)]
        loaded = [rmeval.load_model(folder, dtype="bfloat16", checks=False)]
        whole = loaded.pop().score_tokens(rows)
        torch.cuda.empty_cache()
        room = torch.cuda.mem_get_info()[0] - weights // 2 - (1 << 30) if on_gpu() else 0
        ballast = torch.empty(room, dtype=torch.uint8, device=device())
        beside = rmeval.load_model(folder, dtype="bfloat16", checks=False)
        parts = len(set(getattr(beside.network, "hf_device_map", {"": 0}).values()))
        scores, budget = beside.score_tokens(rows), beside.engine.batch_tokens
        del ballast, beside
    apart = max(abs(a - b) for a, b in zip(scores, whole, strict=True)) / (max(whole) - min(whole))
    figure = f"over {parts} devices, {budget:,} tokens a pass, {apart:.4f} of the spread apart"
    holds = apart <= 0.05 and (parts == 2 and budget > 256 if on_gpu() else True)
    return Finding(figure, "over 2, more than 256, up to 0.05", holds)


def processes(options: argparse.Namespace) -> Finding:
    """Has two processes share one card and a run: the same bytes as from one."""
    run = ["-m", "rmeval", "run", "--model", "demo", "--device", "cuda:0" if on_gpu() else "cpu"]
    run += ["--limit", "12", "--quiet"] if options.rehearse else ["--quiet"]
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    with tempfile.TemporaryDirectory() as folder:
        for name, before in (("one", []), ("two", launch)):
            command = [sys.executable, *before, *run, "--output", f"{folder}/{name}"]
            threads = {**os.environ, "OMP_NUM_THREADS": "1"}
            subprocess.run(command, check=True, capture_output=True, env=threads)
        one, two = (
            next(Path(folder, name).rglob("scores.jsonl")).read_bytes() for name in ("one", "two")
        )
    figure = f"{one.count(bytes([10]))} rows, {'the same' if one == two else 'OTHER'} bytes"
    return Finding(figure, "the same bytes", one == two)


def device() -> Any:
    import torch

    return torch.device("cuda", 0) if on_gpu() else torch.device("cpu")


def on_gpu() -> bool:
    import torch

    return bool(torch.cuda.is_available())


STEPS: list[Any] = [
    versions,
    kernel,
    tests,
    golden,
    cudnn,
    timed("llama-8b", "8b", padded=True),
    timed("internlm2-1.8b", "1.8b", padded=False),
    timed("internlm2-20b", "20b", padded=False),
    profile,
    halved,
    spread,
    processes,
]
