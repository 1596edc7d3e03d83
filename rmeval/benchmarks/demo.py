"""The demonstration benchmark: hand-written pairs in RewardBench's layout and subsets.

It shows the whole way at once, on any machine. Its numbers say nothing about a model.
"""

from rmeval.benchmarks.benchmark import Definition
from rmeval.benchmarks.rewardbench import REWARDBENCH, ROWS, read_rewardbench

ROWS_PER_SUBSET = 6

DEMO = Definition(
    name="demo",
    read=read_rewardbench,
    scheme=REWARDBENCH.with_rows(dict.fromkeys(ROWS, ROWS_PER_SUBSET)),
    licence="Apache-2.0",
    meaning="nothing: 138 hand-written pairs that show how rmeval works",
    remark="The demo benchmark shows how rmeval works; its numbers say nothing about a model.",
    shipped="demo/benchmark.jsonl",
)
