"""Which device holds what, over GPUs that are not there."""

from types import SimpleNamespace

import pytest
import torch
from conftest import GOLDEN
from full_memory import names_of_full, raising

import rmeval
from rmeval.engine.scoring import ASKED_FOR, Engine
from rmeval.errors import BadOption
from rmeval.models import placement
from rmeval.models.doctor.scores import check_float32, make_probe
from rmeval.models.model import LoadedModel
from rmeval.models.placement import choose_device, dispatch, map_devices

FIRST, SECOND = torch.device("cuda", 0), torch.device("cuda", 1)
GIB = 1 << 30


def internlm2():
    return rmeval.load_model(str(GOLDEN / "internlm2"), device="cpu", dtype="bfloat16")


class Cards:
    """GPUs of so many GiB, of which others and this process use some."""

    def __init__(self, monkeypatch, *sizes):
        self.sizes, self.others, self.ours = sizes, [0] * len(sizes), [0] * len(sizes)
        cuda = {
            "is_available": lambda: True,
            "device_count": lambda: len(sizes),
            "get_device_properties": lambda at: SimpleNamespace(total_memory=self.total(at)),
            "memory_allocated": lambda at: self.ours[at.index],
            "memory_reserved": lambda at: self.ours[at.index],
            "mem_get_info": lambda at: (self.free(at), self.total(at)),
        }
        for name, found in cuda.items():
            monkeypatch.setattr(torch.cuda, name, found)

    def total(self, card):
        return int(self.sizes[card.index] * GIB)

    def free(self, card):
        return self.total(card) - self.others[card.index] - self.ours[card.index]


def network_of(gib, layers=64):
    """A network whose backbone takes so much in bfloat16, without memory for it."""
    with torch.device("meta"):
        side = int((gib * GIB / 2 / layers) ** 0.5)
        stack = torch.nn.ModuleList(
            torch.nn.Sequential(torch.nn.Linear(side, side, bias=False)) for _ in range(layers)
        )
        made = torch.nn.Module()
        made.backbone = torch.nn.Module()
        made.backbone.layers = stack
        made.backbone._no_split_modules = ["Sequential"]
    return made.to(torch.bfloat16)


def places(made, device=FIRST, *, spread=True):
    return map_devices(made, device, torch.bfloat16, spread=spread)


@pytest.mark.parametrize(
    ("rank", "asked", "chosen"),
    [(7, "auto", 7), (7, "cuda", 7), (3, "cuda", 3), (9, "cuda", 1), (7, "cuda:2", 2)],
)
def test_each_process_of_a_launcher_has_a_card_of_its_own(monkeypatch, rank, asked, chosen):
    Cards(monkeypatch, *[80] * 8)
    monkeypatch.setenv("LOCAL_RANK", str(rank))
    assert choose_device(asked) == torch.device("cuda", chosen)


def test_what_fits_stays_whole_and_what_does_not_is_spread_and_said(monkeypatch, caplog):
    Cards(monkeypatch, 80, 80)
    assert places(network_of(70)) == {"": FIRST}
    assert caplog.text == ""
    spread = places(network_of(130))
    assert set(spread.values()) == {0, 1}
    assert "130 GiB, more than fits cuda:0: it is spread over cuda:0, cuda:1" in caplog.text


def test_what_others_use_moves_nothing_and_is_refused_where_it_is_in_the_way(monkeypatch):
    """Else the same run would be planned otherwise when it is started again."""
    cards = Cards(monkeypatch, 80, 80)
    alone = places(network_of(130))
    cards.others = [60 * GIB, 0]
    assert places(network_of(130)) == alone
    assert places(network_of(15)) == {"": FIRST}
    with pytest.raises(BadOption, match=r"cuda:0 has 20.0 of 80.0 GiB free.*needs 30.0.*cuda:N"):
        places(network_of(30))


def test_what_this_process_holds_counts(monkeypatch, caplog):
    """A reference beside a policy that fills the card waits on the host."""
    cards = Cards(monkeypatch, 80)
    cards.ours = [76 * GIB]
    spread = places(network_of(16))
    assert "cpu" in spread.values()
    assert "the host, from which" in caplog.text


def test_a_process_of_several_whose_model_is_too_large_is_told(monkeypatch):
    Cards(monkeypatch, 80, 80)
    with pytest.raises(BadOption, match=r"needs 130.0 GiB and cuda:1 has 80.0.*in one process"):
        places(network_of(130), SECOND, spread=False)


def test_more_than_all_memory_is_refused(monkeypatch):
    Cards(monkeypatch, 80)
    monkeypatch.setattr(placement, "host_bytes", lambda: 16 * GIB)
    with pytest.raises(BadOption, match="needs 130 GiB"):
        places(network_of(130))


def test_a_model_that_waits_on_the_host_whole_still_computes_on_the_card(monkeypatch):
    """Accelerate knows no part by the name "", and would compute on the host."""
    asked = []
    monkeypatch.setattr("accelerate.dispatch_model", lambda *how, **options: asked.append(options))
    network = internlm2().network
    assert dispatch(network, {"": "cpu"}, FIRST) is network
    monkeypatch.setattr("accelerate.dispatch_model", lambda _, places, **how: asked.append(places))
    dispatch(network, {"": "cpu"}, FIRST)
    assert asked == [
        {"main_device": FIRST, "force_hooks": True},
        {"backbone": "cpu", "head": "cpu"},
    ]


@names_of_full
@pytest.mark.parametrize(
    "place",
    [
        "accelerate.utils.set_module_tensor_to_device",
        "rmeval.engine.attention.attending",
        "rmeval.engine.forward.home",
    ],
)
def test_out_of_memory_at_load_and_in_the_gate_is_one_line(monkeypatch, place, error):
    monkeypatch.setattr(place, raising(error))
    with pytest.raises(BadOption, match=r"^out of memory on cpu while the model is loaded \("):
        rmeval.load_model(str(GOLDEN / "internlm2"), device="cpu")


def test_what_took_the_models_place_is_gone_before_it_comes_back(monkeypatch):
    """The error's traceback holds the second network: with it there was no room to come back."""
    Cards(monkeypatch, 80)
    model = internlm2()
    probe = make_probe(model, [[1, 2], [3]], 1)
    object.__setattr__(model, "device", FIRST)
    alive, back = [], []

    class Second(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.itself = [self]  # a cycle, as networks have
            alive.append(1)

        def __del__(self):
            alive.pop()

    def compute(network, ids):
        raise torch.OutOfMemoryError("full")

    monkeypatch.setattr("rmeval.models.doctor.scores.make_network", lambda *_: Second())
    monkeypatch.setattr("rmeval.models.doctor.scores.rewards_alone", compute)
    monkeypatch.setattr(model.network, "to", lambda device: back.append((device, len(alive))))
    assert check_float32(probe).finding == "does not fit beside what else is on cuda:0"
    assert back == [("cpu", 0), (FIRST, 0)]


def test_a_model_that_could_not_wait_on_the_host_stays_where_it_is(monkeypatch):
    Cards(monkeypatch, 80)
    model = internlm2()
    probe = make_probe(model, [[1, 2], [3]], 1)
    object.__setattr__(model, "device", FIRST)
    monkeypatch.setattr("rmeval.models.doctor.scores.host_bytes", lambda: 1)
    assert "0 GiB may be used" in check_float32(probe).finding


def test_memory_of_cuda_itself_is_left_out(monkeypatch):
    Cards(monkeypatch, 80)
    made = network_of(79)
    assert places(network_of(74)) == {"": FIRST}
    assert places(made) != {"": FIRST}


def test_what_a_gpu_cannot_do_at_once_is_said_before_the_run(monkeypatch, caplog):
    """In the first lines, and not in the result alone: it is hours on a large model."""
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))
    monkeypatch.setattr(torch.backends.cuda, "is_flash_attention_available", lambda: True)
    model = internlm2()
    assert model.remark() is None  # a CPU has no such kernel
    object.__setattr__(model, "device", FIRST)
    head_dim = model.network.config.head_dim
    object.__setattr__(model.network.config, "head_dim", 64)
    assert model.remark() is None
    assert model._kernel() == "flash attention, a pack at once"
    object.__setattr__(model.network.config, "head_dim", 12)
    assert model.remark().startswith("packed in plain attention, which is slower: ")
    assert model._kernel() == "sdpa, a few sequences at once"
    object.__setattr__(model.network.config, "head_dim", head_dim)
    object.__setattr__(model, "engine", Engine(8, reason="a packed forward fails"))
    assert model.remark().endswith("are computed each time: a packed forward fails")
    object.__setattr__(model, "engine", Engine(8, reason=ASKED_FOR))
    assert model.remark() is None
    monkeypatch.setattr(LoadedModel, "remark", lambda model: "slow")
    internlm2()
    assert caplog.messages == [f"{GOLDEN / 'internlm2'}: slow"]
