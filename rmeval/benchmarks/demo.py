"""The demonstration benchmark: hand-written pairs in RewardBench's layout and subsets.

It shows the whole way at once, on any machine. Of each subset's sixteen rows, six are of the kind
that a reward model for use is asked; ten have faults that a very small model can see, such as an
answer to another question, a repetition, or a name that nothing defines.
"""

from rmeval.benchmarks.benchmark import Definition
from rmeval.benchmarks.rewardbench import REWARDBENCH, ROWS, read_rewardbench

ROWS_PER_SUBSET = 16

DEMO = Definition(
    name="demo",
    read=read_rewardbench,
    scheme=REWARDBENCH.with_rows(dict.fromkeys(ROWS, ROWS_PER_SUBSET)),
    licence="Apache-2.0",
    meaning="little: 368 hand-written pairs that show how rmeval works",
    remark="The demo benchmark shows how rmeval works; its numbers say little about a model.",
    shipped="demo/benchmark.jsonl",
)
