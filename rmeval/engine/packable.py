"""May a model be packed? Asked of the model itself at load, not of a list of names.

Of 530 modelling files in transformers a third do not go through the attention interface, and
some that do would be silently wrong in a pack (recurrent layers, attention sinks). So a probe of
three short sequences with shared prefixes is computed both ways.
"""

import numpy as np
import torch

from rmeval.engine.attention import Pack
from rmeval.engine.forward import RewardNetwork, pool_packed, pool_padded
from rmeval.engine.plan import lay_out
from rmeval.errors import FOREIGN, first_line

# Largest relative difference of pooled states that is rounding. A token seen that should not be,
# or a wrong position, moves them by a third and more.
ROUNDING = {
    torch.float64: 1e-6,
    torch.float32: 1e-3,
    torch.float16: 0.05,
    torch.bfloat16: 0.1,
}
PROBE_LENGTHS = ((9, 0), (9, 4), (9, 7), (5, 6))  # tokens shared with the first, tokens of its own


@torch.inference_mode()
def why_not_packed(network: RewardNetwork) -> str | None:
    """Returns why a network must take the padded path, or None if it may be packed.

    It may if our attention is called once per layer, is told of every window, is asked for
    nothing it does not know, and gives the padded path's states up to rounding. Raises
    torch.OutOfMemoryError where there is no room to ask.
    """
    if network.head is None:
        return "it pools for itself"
    text_config = network.config.get_text_config()
    sequences = _probe(network.vocab_size)
    pack = Pack(lay_out(sequences))
    try:
        packed = pool_packed(network, pack)
    except torch.OutOfMemoryError:
        raise  # which says nothing of the model
    except FOREIGN as error:
        return f"a packed forward fails ({type(error).__name__}: {first_line(error)})"
    layers = text_config.num_hidden_layers
    if pack.calls != layers:
        return f"attention was called {pack.calls} times in {layers} layers"
    if pack.windows_masked - pack.windows_given:
        window = min(pack.windows_masked - pack.windows_given)
        return f"its window of {window} tokens stands only in a mask"
    if pack.windows_given - pack.windows_masked:
        window = min(pack.windows_given - pack.windows_masked)
        return f"its window of {window} tokens stands in no mask"
    if pack.unknown:
        return f"its attention also needs {', '.join(sorted(pack.unknown))}"
    difference = relative_difference(packed, pool_padded(network, sequences))
    if not difference <= ROUNDING[packed.dtype]:
        return f"packed and padded states differ by {difference:.2g}"
    return None


@torch.inference_mode()
def sees_padding(network: RewardNetwork) -> bool:
    """Whether padding to the right moves a state, as it does where attention looks both ways."""
    if network.head is None:
        return False  # it is given a mask
    short, *_, long = sorted(_probe(network.vocab_size), key=len)
    alone = pool_padded(network, [short])
    return (
        not relative_difference(pool_padded(network, [short, long])[:1], alone)
        <= ROUNDING[alone.dtype]
    )


def relative_difference(states: torch.Tensor, reference: torch.Tensor) -> float:
    """Returns the largest relative difference of (N, H) states; NaN where there is one.

    Two states of zeros, as a row for padding alone gives them, do not differ.
    """
    apart = (states - reference).norm(dim=-1)
    return float(torch.where(apart == 0, apart, apart / reference.norm(dim=-1)).max())


def _probe(vocab_size: int) -> list[np.ndarray[tuple[int], np.dtype[np.int32]]]:
    """Returns distinct sequences with shared prefixes, one a prefix of others, in order."""
    draw = np.random.default_rng(0)
    first = draw.integers(0, vocab_size, 16, dtype=np.int32)
    sequences = [
        np.concatenate([first[:shared], draw.integers(0, vocab_size, own, dtype=np.int32)])
        for shared, own in PROBE_LENGTHS
    ]
    return sorted(sequences, key=lambda sequence: sequence.tolist())
