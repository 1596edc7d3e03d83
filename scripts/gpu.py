"""What the engine does on a GPU: steps, each with its figure beside what is expected of it.

    scripts/gpu                     all of them on this machine's first GPU, under ten minutes
    scripts/gpu --rehearse          the same steps on a CPU, with tiny shapes: does the script run?

It ends in a verdict, and in a JSON file (--json) with every figure. Expected seconds are those of
one H100 by arithmetic: matrices at 85 % of the measured rate, streams at 60 to 90 % of 3 TB/s.
"""

import argparse
import gc
import importlib.util
import json
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

NEEDED = ("torch", "transformers", "accelerate", "safetensors", "tokenizers", "tabulate", "numpy")
ROOT = Path(__file__).parents[1]


class Finding(NamedTuple):
    """What a step found, what was expected, and whether that is so; None is for reading."""

    figure: str
    expected: str
    holds: bool | None


Step = Callable[[argparse.Namespace], Finding]


def main() -> int:
    options = parse_options()
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        names = " ".join(missing)
        print(f"missing here: {names}; where there is a package index:", file=sys.stderr)
        print(f"  pip download --no-deps --dest wheels {names}", file=sys.stderr)
        print("and bring the folder wheels/ here, beside scripts/", file=sys.stderr)
        return 2
    found: dict[str, dict[str, Any]] = {}
    for step in [step for step in STEPS if not options.only or step.__name__ in options.only]:
        started = time.perf_counter()
        try:
            finding = step(options)
        except (RuntimeError, AssertionError, OSError, SystemExit, TypeError, ValueError) as error:
            traceback.print_exc()
            finding = Finding(f"{type(error).__name__}: {error}", "runs", False)
        seconds = time.perf_counter() - started
        gc.collect()  # a model of the last step is in the way of the next
        word = {True: "as expected", False: "NOT AS EXPECTED", None: "to read"}[finding.holds]
        print(f"{step.__name__:<15} {seconds:5.0f} s  {word}: {finding.figure}", flush=True)
        print(f"{'':<15}          expected: {finding.expected}", flush=True)
        found[step.__name__] = {"seconds": round(seconds, 1), **finding._asdict()}
    wrong = [name for name, each in found.items() if each["holds"] is False]
    options.json.write_text(json.dumps({"wrong": wrong, "steps": found}, indent=1) + "\n")
    print(f"\n{'not as expected: ' + ', '.join(wrong) if wrong else 'all as expected'}")
    print(f"kept in {options.json}")
    return 1 if wrong else 0


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
    return Finding(last, "all passed", done.returncode == 0)


def golden(options: argparse.Namespace) -> Finding:
    """Scores the golden checkpoints on the device; in float32 they are their authors' scores."""
    import rmeval

    largest, paths = 0.0, []
    for folder in sorted((ROOT / "tests/golden").iterdir())[:: 8 if options.rehearse else 1]:
        if not (folder / "cases.jsonl").exists():
            continue
        cases = [json.loads(line) for line in (folder / "cases.jsonl").open()]
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
    return Finding(figure, "under 0.02 s without", seconds[1] < 0.02 if on_gpu() else None)


def timed(shape: str, low: float, high: float, *, padded: bool) -> Step:
    """Returns a step that scores all pairs with a model of random weights."""

    def step(options: argparse.Namespace) -> Finding:
        import bench
        import torch

        arguments = ["--shape", "small" if options.rehearse else shape, "--peer"]
        chosen = bench.parse_options([*arguments, "--rows", "6" if options.rehearse else "0"])
        dtype = getattr(torch, chosen.dtype)
        model = bench.random_model(chosen.shape, device(), dtype)
        rows = bench.read_sequences(chosen.data, chosen.rows, model.config.vocab_size)[0]
        rate = bench.matrix_rate(device(), dtype) / bench.flops_per_token(bench.as_network(model))
        lines, seconds = [], 0.0
        for way in bench.list_ways(model, rows, chosen)[0 if padded else 1 :]:
            measured = bench.measure([way], device())[0]
            seconds = measured.seconds  # the packed one is the last
            share = way.tokens / seconds / rate
            lines.append(f"{way.name} {seconds:.1f} s, {share:.0%} of {rate:,.0f} tokens/s")
        expected = f"packed in {low:.0f} to {high:.0f} s on an H100 or H200"
        return Finding("; ".join(lines), expected, seconds <= high if on_gpu() else None)

    step.__name__ = shape
    return step


def halved(options: argparse.Namespace) -> Finding:
    """Asks for more tokens in a pass than any memory holds: it goes on in parts."""
    import bench
    import torch

    from rmeval.engine.scoring import Engine, score_sequences

    shape = "small" if options.rehearse else "llama-8b"
    model = bench.random_model(shape, device(), torch.bfloat16 if on_gpu() else torch.float32)
    network = bench.as_network(model)
    rows = bench.synthetic_sequences(4 if options.rehearse else 1500, model.config.vocab_size)
    whole, usual = (
        score_sequences(network, rows, Engine(tokens, packed=True)) for tokens in (10**6, 16384)
    )
    largest = max(abs(a - b) for a, b in zip(whole, usual, strict=True))
    spread = max(usual) - min(usual)
    return Finding(f"{largest / spread:.4f} of the spread", "up to 0.05", largest <= 0.05 * spread)


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rehearse", action="store_true", help="on a CPU, with tiny shapes")
    parser.add_argument(
        "--only", nargs="*", metavar="STEP", help=" ".join(s.__name__ for s in STEPS)
    )
    parser.add_argument("--json", type=Path, default=Path("gpu.json"))
    return parser.parse_args()


def device() -> Any:
    import torch

    return torch.device("cuda", 0) if on_gpu() else torch.device("cpu")


def on_gpu() -> bool:
    import torch

    return bool(torch.cuda.is_available())


HEADS = ((32, 8), (8, 8), (8, 1))
STEPS: list[Any] = [
    versions,
    kernel,
    tests,
    golden,
    cudnn,
    timed("llama-8b", 27, 36, padded=True),
    timed("internlm2-1.8b", 8, 12, padded=False),
    timed("internlm2-20b", 70, 90, padded=False),
    halved,
]

if __name__ == "__main__":
    sys.exit(main())
