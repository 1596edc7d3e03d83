"""Several processes, on one machine or many, that share one run and one output folder.

`accelerate launch` (or torchrun) starts them. Each computes its share of the groups and keeps it
in a part of the store of its own; what they tell each other goes through `rmeval.engine.peers`.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any
from uuid import uuid4

from rmeval.engine.peers import JOINING, PATIENCE, Peers
from rmeval.errors import BadOption, Blaming, one_line

MOST_PROCESSES = 1_000_000
OWN_PATIENCE = "RMEVAL_PATIENCE"  # in the environment: seconds, in place of PATIENCE
OF_DEVICE = {"engine.device", "engine.batch_tokens", "engine.kernel", "engine.reason"}


@dataclass(frozen=True, slots=True)
class Workers:
    """This process's place among `count`; rank 0 puts the result together.

    Each has a share of the groups; `together`, all compute each of them, and rank 0 keeps it.
    """

    rank: int = 0
    count: int = 1
    peers: Peers | None = None
    together: bool = False

    @property
    def shares(self) -> int:
        """Into how many shares the groups go."""
        return 1 if self.together else self.count

    @property
    def keeps(self) -> bool:
        """Whether this process keeps what it computes."""
        return self.rank == 0 or not self.together

    def gather(self, value: Any) -> list[Any]:
        """Returns each process's value, by rank: what JSON can hold. Raises PeerLost."""
        return [value] if self.peers is None else self.peers.gather(value)

    def broadcast(self, pending: Sequence[int], fingerprint: str) -> list[int]:
        """Returns rank 0's list of what is left to do.

        Raises BadOption when the processes do not see the same data: `fingerprint` differs.
        """
        answers = self.gather([list(pending) if self.rank == 0 else [], fingerprint])
        if len({seen for _, seen in answers}) > 1:
            raise BadOption("the processes do not see the same rows: give each the same files")
        waiting: list[int] = answers[0][0]
        return waiting

    def require_same(self, settings: Mapping[str, Any]) -> None:
        """Raises BadOption, naming what differs, unless all processes compute alike."""
        first, *others = self.gather(dict(_flat(settings)))
        for rank, other in enumerate(others, 1):
            names = [n for n in sorted({*first, *other}) if first.get(n) != other.get(n)]
            if names:
                name = next((name for name in names if name == "engine.device"), names[0])
                advice = "give each the same files, options and versions"
                if set(names) <= OF_DEVICE:
                    advice = "start them on devices of one kind, or with `device='cpu'`"
                differing = f"{first.get(name)} in rank 0, {other.get(name)} in rank {rank}"
                raise BadOption(
                    f"the processes disagree about {name}: {one_line(differing)}; {advice}"
                )

    def require_shared(self, folder: Path) -> None:
        """Raises BadOption unless every process sees one folder: a file of rank 0's is there."""
        if self.count == 1:
            return
        probe = folder / self.gather(f".seen-{uuid4().hex}")[0]
        if self.rank == 0:
            probe.touch()
        self.barrier()
        seen = self.gather(probe.exists())
        if self.rank == 0:
            probe.unlink()
        if not all(seen):
            raise BadOption(
                f"{folder} is not one folder for all {self.count} processes: give each the same "
                "`output=`, on a disk that all of them see"
            )

    def partition(self, costs: Sequence[int]) -> list[int]:
        """Returns the positions in `costs` that are this process's, balanced by their sum."""
        load = [0] * self.shares
        mine = []
        for position in sorted(range(len(costs)), key=lambda p: -costs[p]):
            worker = load.index(min(load))
            load[worker] += costs[position]
            if self.together or worker == self.rank:
                mine.append(position)
        return sorted(mine)

    def barrier(self) -> None:
        """Returns when every process has come here. Raises PeerLost."""
        self.gather(None)

    def require_all(self) -> None:
        """Raises PeerLost where a process is gone: a run of fewer would never be put together."""
        if self.peers is not None:
            self.peers.require_all()

    def require_in_touch(self) -> None:
        """Raises PeerLost in a process that was stopped: others may have taken up its work."""
        if self.peers is not None:
            self.peers.require_in_touch()


def launched(name: str, least: int) -> int:
    """Returns what the launcher's environment says, or the `least` there is. Raises BadOption."""
    value = os.environ.get(name) or str(least)
    if not value.isascii() or not value.isdecimal() or not least <= int(value[:9]) < MOST_PROCESSES:
        raise BadOption(
            f"{name}={value[:40]} in the environment is not a whole number from {least}; a "
            "launcher of several processes sets it: unset it to run in one"
        )
    return int(value)


def count_processes() -> int:
    """Returns how many processes the launcher has started, as its environment says."""
    return launched("WORLD_SIZE", 1)


def join_workers(*, together: bool = False) -> Workers:
    """Returns this process's place, as the launcher's environment says; alone without one.

    `together` is for a model of which each process holds a part.
    """
    if count_processes() == 1:
        return Workers()
    peers = _meet()
    return Workers(peers.rank, peers.count, peers, together)


@cache
def _meet() -> Peers:
    """Returns the line to the others, which stays until this process ends. Raises BadOption."""
    from torch.distributed.distributed_c10d import PrefixStore
    from torch.distributed.rendezvous import rendezvous

    most = patience()
    sentence = f"WORLD_SIZE={count_processes()} says that there are others, which cannot be joined"
    with Blaming(BadOption, sentence):
        joining = timedelta(seconds=JOINING)
        store, rank, count = next(rendezvous("env://", timeout=joining))
    where = "{MASTER_ADDR}:{MASTER_PORT}, where the processes meet,".format_map(os.environ)
    return Peers(PrefixStore("rmeval", store), rank, count, where, most)


def patience() -> float:
    """Returns the seconds without a word after which a process counts as gone. Raises BadOption."""
    value = os.environ.get(OWN_PATIENCE) or f"{PATIENCE:.0f}"
    if not value.isascii() or not value.isdecimal() or not int(value[:9]) > 0:
        raise BadOption(
            f"{OWN_PATIENCE}={value[:40]} in the environment is not a number of seconds"
        )
    return float(value[:9])


def _flat(settings: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Returns nested settings as dotted names and texts."""
    found = []
    for key, value in settings.items():
        if isinstance(value, Mapping):
            found += _flat(value, f"{prefix}{key}.")
        else:
            found.append((f"{prefix}{key}", str(value)))
    return found
