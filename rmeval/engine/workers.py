"""Several processes, on one machine or many, that share one run and one output folder.

`accelerate launch` (or torchrun) starts them. Each computes its share of the groups and keeps it
in a part of the store of its own; what they tell each other goes through gloo, on the CPU.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

from rmeval.errors import BadOption, Blaming

MOST_PROCESSES = 1_000_000  # processes
PATIENCE = timedelta(days=14)  # a share may take days longer than another


@dataclass(frozen=True, slots=True)
class Workers:
    """This process's place among `count`; rank 0 puts the result together."""

    rank: int = 0
    count: int = 1

    def broadcast(self, pending: Sequence[int], fingerprint: str) -> list[int]:
        """Returns rank 0's list of what is left to do.

        Raises BadOption when the processes do not see the same data: `fingerprint` differs.
        """
        if self.count == 1:
            return list(pending)
        from torch import distributed

        answers: list[tuple[list[int], str]] = [([], "")] * self.count
        distributed.all_gather_object(answers, (list(pending), fingerprint))
        if len({seen for _, seen in answers}) > 1:
            raise BadOption(
                "the processes disagree about data, model or settings: give each the same files, "
                "options and versions"
            )
        return answers[0][0]

    def require_shared(self, folder: Path) -> None:
        """Raises BadOption unless every process sees one folder: a file of rank 0's is there."""
        if self.count == 1:
            return
        from torch import distributed

        value = [f".seen-{uuid4().hex}"]
        distributed.broadcast_object_list(value)
        probe, seen = folder / value[0], [False] * self.count
        if self.rank == 0:
            probe.touch()
        self.barrier()
        distributed.all_gather_object(seen, probe.exists())
        if self.rank == 0:
            probe.unlink()
        if not all(seen):
            raise BadOption(
                f"{folder} is not one folder for all {self.count} processes: give each the same "
                "`output=`, on a disk that all of them see"
            )

    def partition(self, costs: Sequence[int]) -> list[int]:
        """Returns the positions in `costs` that are this process's, balanced by their sum."""
        load = [0] * self.count
        mine = []
        for position in sorted(range(len(costs)), key=lambda p: -costs[p]):
            worker = load.index(min(load))
            load[worker] += costs[position]
            if worker == self.rank:
                mine.append(position)
        return sorted(mine)

    def barrier(self) -> None:
        """Returns when every process has come here."""
        if self.count > 1:
            from torch import distributed

            distributed.barrier()


def launched(name: str, least: int) -> int:
    """Returns what the launcher's environment says, or the `least` there is. Raises BadOption."""
    value = os.environ.get(name) or str(least)
    if not value.isascii() or not value.isdecimal() or not least <= int(value[:9]) < MOST_PROCESSES:
        raise BadOption(
            f"{name}={value[:40]} in the environment is no whole number from {least}; a launcher "
            "of several processes sets it: unset it to run in one"
        )
    return int(value)


def count_processes() -> int:
    """Returns how many processes the launcher has started, as its environment says."""
    return launched("WORLD_SIZE", 1)


def join_workers() -> Workers:
    """Returns this process's place, as the launcher's environment says; alone without one."""
    if count_processes() == 1:
        return Workers()
    from torch import distributed

    if not distributed.is_initialized():
        sentence = (
            f"WORLD_SIZE={count_processes()} says that there are others, which cannot be joined"
        )
        with Blaming(BadOption, sentence):
            distributed.init_process_group("gloo", timeout=PATIENCE)
    return Workers(distributed.get_rank(), distributed.get_world_size())
