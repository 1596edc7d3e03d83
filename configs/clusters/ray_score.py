"""Scores many files on a Ray cluster, a task and a GPU for each shard.

    python configs/clusters/ray_score.py --shards 8 -- \
        --model ./checkpoint --input '/shared/in/*.jsonl' --output /shared/out

What follows `--` is `rmeval score`'s. Files lie where all nodes see them, under absolute paths. A
task whose process or node is lost is begun again elsewhere, and goes on.
"""

import argparse
import sys

import ray

from rmeval.cli import main as rmeval


def score(shard: str, arguments: list[str]) -> int:
    """Returns the exit status of `rmeval score` for one shard."""
    return rmeval(["score", "--quiet", *arguments, "--shard", shard])


def main() -> int:
    """Returns 0 when every shard is whole."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--shards", type=int, required=True)
    parser.add_argument("--gpus", type=float, default=1, help="of a shard; 0 scores on CPUs")
    parser.add_argument("--address", help="of the cluster; default: the one that is there, or none")
    parser.add_argument("arguments", nargs="*", help="of rmeval score, after --")
    options = parser.parse_args()
    ray.init(options.address)
    # a process of its own for each: the memory of its GPU is free when it ends
    task = ray.remote(num_gpus=options.gpus, max_retries=8, max_calls=1)(score)
    shards = [f"{index}/{options.shards}" for index in range(options.shards)]
    statuses = ray.get([task.remote(shard, options.arguments) for shard in shards])
    wrong = [shard for shard, status in zip(shards, statuses, strict=True) if status]
    if wrong:
        print(f"not whole, for the reasons above: shards {', '.join(wrong)}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
