"""Which sequences share a forward pass. Pure: lengths in, batches of indices out."""

from collections.abc import Sequence

Batch = tuple[int, ...]


def plan_batches(lengths: Sequence[int], batch_tokens: int, *, may_pad: bool = True) -> list[Batch]:
    """Cuts sequences into batches of at most `batch_tokens` tokens, padding included.

    Longest first, so that a run which cannot fit fails at once, and so that neighbours in length
    share a batch and little is padded. Equal lengths keep their order: the plan is a function of
    the lengths alone. A sequence longer than the budget gets a batch of its own. Without
    `may_pad` a batch holds one length only.
    """
    order = sorted(range(len(lengths)), key=lambda index: -lengths[index])
    batches: list[list[int]] = []
    for index in order:
        width = lengths[batches[-1][0]] if batches else 0  # the batch's longest is its first
        fits = batches and width * (len(batches[-1]) + 1) <= batch_tokens
        if fits and (may_pad or lengths[index] == width):
            batches[-1].append(index)
        else:
            batches.append([index])
    return [tuple(batch) for batch in batches]
