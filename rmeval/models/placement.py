"""Which device holds what: one, or several with the host behind them.

It follows from what devices there are and what this process has put on them, never from what
others happen to use of them: the same run is placed and planned alike when it is started again.
"""

import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch

from rmeval.engine.device import one_name_for_full
from rmeval.engine.memory import CONTEXT_BYTES, SHARE_OF_SPREAD, host_bytes, margin_beside
from rmeval.engine.workers import launched
from rmeval.errors import BadOption, UnknownName, first_line

logger = logging.getLogger("rmeval")


def choose_device(device: str) -> torch.device:
    """Returns the device that scores, for "auto", "cpu", "cuda" or "cuda:N". Raises BadOption.

    A launcher of several processes gives each a GPU of its own, unless one is named.
    """
    available = torch.cuda.device_count() if torch.cuda.is_available() else 0
    rank = launched("LOCAL_RANK", 0)
    if device == "auto":
        return torch.device("cuda", rank % available) if available else torch.device("cpu")
    if device == "cpu":
        return torch.device("cpu")
    try:
        torch.device(device)
    except RuntimeError as error:
        raise UnknownName("device", device, ["auto", "cpu", "cuda", "cuda:0"]) from error
    if not re.fullmatch(r"cuda(:\d+)?", device):
        raise BadOption(f"device {device!r} is not supported; use auto, cpu, cuda or cuda:N")
    index = int(device.partition(":")[2] or rank % max(available, 1))
    if index >= available:
        found = f"{available} CUDA devices" if available else "no CUDA device"
        raise BadOption(f"device {device!r} is not available: torch sees {found} on this machine")
    return torch.device("cuda", index)


def map_devices(
    network: Any, device: torch.device, dtype: torch.dtype, *, spread: bool
) -> dict[str, Any]:
    """Returns the device of each part of an empty network, by its name; "" is all of it.

    Raises BadOption where there is no room, or none left by others.
    """
    if device.type == "cpu":
        return {"": device}
    needed = sum(p.numel() for p in network.parameters()) * dtype.itemsize
    if not spread or needed + margin_beside(needed) <= _room(device):
        _require_free(device, needed)
        return {"": device}
    from accelerate import infer_auto_device_map
    from accelerate.utils import get_balanced_memory

    whole = list(getattr(network.backbone, "_no_split_modules", None) or [])
    rooms: dict[Any, int] = {
        index: int(SHARE_OF_SPREAD * _room(torch.device("cuda", index)))
        for index in range(torch.cuda.device_count())
    }
    rooms["cpu"] = int(SHARE_OF_SPREAD * host_bytes())
    balanced = get_balanced_memory(
        network, max_memory=dict(rooms), dtype=dtype, no_split_module_classes=whole
    )
    device_map: dict[str, Any] = infer_auto_device_map(
        network, max_memory=balanced, dtype=dtype, no_split_module_classes=whole
    )
    if "disk" in device_map.values():
        raise BadOption(
            f"the model needs {needed / 2**30:.0f} GiB in {dtype}: more than all devices and "
            "the host's memory; use a smaller `dtype=` or a larger machine"
        )
    _say_spread(device_map, device, needed)
    return device_map


def device_of(name: str, device_map: Mapping[str, Any]) -> Any:
    """Returns the device of the longest module path that `name` lies under."""
    paths = [path for path in device_map if path == "" or f"{name}.".startswith(f"{path}.")]
    return device_map[max(paths, key=len)]


def dispatch(network: Any, device_map: dict[str, Any], device: torch.device) -> Any:
    """Has each part compute on its device, and what lies on the host on `device`."""
    if set(device_map) == {""} and device_map[""] != "cpu":
        network.to(device_map[""])
        return network
    from accelerate import dispatch_model

    if "" in device_map:  # which accelerate takes for no name of a part
        device_map = {name: device_map[""] for name, _ in network.named_children()}
    dispatch_model(network, device_map, main_device=device, force_hooks=True)
    return network


@contextmanager
def fitting(device: torch.device, doing: str, advice: str) -> Iterator[None]:
    """Says in one line what did not fit on a device, and what to do. Raises BadOption."""
    try:
        with one_name_for_full():
            yield
    except torch.OutOfMemoryError as error:
        reason = first_line(error)
        raise BadOption(f"out of memory on {device} while {doing} ({reason}); {advice}") from error


def loading_on(device: torch.device) -> AbstractContextManager[None]:
    """Says in one line that a model does not fit. Raises BadOption."""
    return fitting(
        device,
        "the model is loaded",
        "use a smaller `dtype=`, a larger device, or `device='auto'` in one process, which spreads "
        "it over all devices and the host",
    )


def checking_on(device: torch.device) -> AbstractContextManager[None]:
    """Says in one line that a model's checks do not fit beside it. Raises BadOption."""
    return fitting(
        device,
        "the model is checked",
        "use a smaller `max_length=` or `dtype=`, or a larger device",
    )


def _room(device: torch.device) -> int:
    """Returns the bytes of a GPU that this process has not filled, whoever else uses it."""
    total: int = torch.cuda.get_device_properties(device).total_memory
    return total - CONTEXT_BYTES - torch.cuda.memory_allocated(device)


def _require_free(device: torch.device, needed: int) -> None:
    """Raises BadOption for a model that is larger than a GPU, or than what others leave of it."""
    free, total = torch.cuda.mem_get_info(device)
    free += torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    if needed > total:
        raise BadOption(
            f"the model needs {needed / 2**30:.1f} GiB and {device} has {total / 2**30:.1f}: use a "
            "smaller `dtype=`, or `device='auto'` in one process, which spreads it over all devices"
        )
    if needed > free:
        raise BadOption(
            f"{device} has {free / 2**30:.1f} of {total / 2**30:.1f} GiB free, and the model needs "
            f"{needed / 2**30:.1f}: stop what else uses it, pass `device='cuda:N'` for another, or "
            "use a smaller `dtype=`"
        )


def _say_spread(device_map: Mapping[str, Any], device: torch.device, needed: int) -> None:
    places = [f"cuda:{place}" for place in dict.fromkeys(device_map.values()) if place != "cpu"]
    waiting = sum(place == "cpu" for place in device_map.values())
    if waiting:
        places.append(f"the host, from which {waiting} parts are copied for every pass")
    logger.warning(
        "the model takes %.0f GiB, more than fits %s: it is spread over %s",
        needed / 2**30,
        device,
        ", ".join(places),
    )
