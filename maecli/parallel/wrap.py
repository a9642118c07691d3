"""What lets a module learn in several processes: a copy in each, or, for one that does not fit, a part in each.

Gradients are summed, not averaged: each process weighs its loss by its share of the samples.
"""

import atexit
import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from maecli.models.blocks import Block
from maecli.parallel.world import World


def replicated(module: nn.Module, world: World) -> nn.Module:
    """Return what runs a module of which each process has a copy: those begin with the values of the first process's.

    Parameters that had no gradient in any process have none, as in one process.
    """
    device = next(module.parameters()).device
    wrapped = DistributedDataParallel(
        module,
        device_ids=[device] if device.type == "cuda" else None,
        process_group=world.group,
        find_unused_parameters=True,
    )
    wrapped.register_comm_hook(world.group, _summed)
    return wrapped


def _summed(group, bucket):  # type: ignore[no-untyped-def]  # annotations that are strings are refused
    work = dist.all_reduce(bucket.buffer(), group=group, async_op=True)
    return work.get_future().then(lambda future: future.value()[0])


@contextlib.contextmanager
def summed_at_the_end(running: Any, is_last: bool) -> Iterator[None]:
    """Send nothing between processes for a micro-batch but the last of a step, where each has a copy of the module."""
    wrapped = getattr(running, "_orig_mod", running)  # that of torch.compile
    waits = isinstance(wrapped, DistributedDataParallel) and not is_last
    with wrapped.no_sync() if waits else contextlib.nullcontext():
        yield


def shard(module: nn.Module, world: World) -> None:
    """Leave each process a part of each parameter: whole ones are there for as long as a block works with them.

    One process alone is a group of one, which has all parts.
    """
    from torch.distributed.device_mesh import DeviceMesh
    from torch.distributed.fsdp import FSDPModule, fully_shard

    device = next(module.parameters()).device
    if device.type == "cuda":
        torch.cuda.set_device(device)  # that of a mesh is the current one, whatever its module is on
    mesh = DeviceMesh.from_group(world.group or _group_of_one(), device.type)
    for part in (*(part for part in module.modules() if isinstance(part, Block)), module):
        fully_shard(part, mesh=mesh)
    for part in module.modules():
        if isinstance(part, FSDPModule):
            part.set_gradient_divide_factor(1.0)
            part.set_force_sum_reduction_for_comms(True)  # gloo knows no other one with a factor


def _group_of_one() -> dist.ProcessGroup:
    if not dist.is_initialized():
        backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
        store = dist.HashStore()  # type: ignore[attr-defined]
        dist.init_process_group(backend, store=store, rank=0, world_size=1)
        atexit.register(lambda: dist.destroy_process_group() if dist.is_initialized() else None)
    group = dist.group.WORLD
    assert group is not None
    return group


def copy_whole(source: nn.Module, target: nn.Module) -> None:
    """Give a module the values of one that lies in parts, one tensor after the other; all processes take part."""
    values = source.state_dict()
    for name, value in target.state_dict().items():
        value.copy_(values[name].full_tensor() if in_parts(values[name]) else values[name])


def own_parts(tensors: Mapping[str, Any]) -> dict[str, Tensor]:
    """Return of tensors that lie in parts those of this process, which share their memory."""
    return {name: tensor.to_local() if in_parts(tensor) else tensor for name, tensor in tensors.items()}


def placed_like(tensor: Tensor, parameter: Any) -> Tensor:
    """Return a whole tensor on the device of a parameter, or this process's part of it where it is one of a part."""
    tensor = tensor.to(parameter.device)
    if not in_parts(parameter):
        return tensor
    from torch.distributed.tensor import distribute_tensor

    return distribute_tensor(tensor, parameter.device_mesh, parameter.placements)


def handed_out_in_parts(tensors: Mapping[str, Tensor], like: Mapping[str, Any], world: World) -> dict[str, Tensor]:
    """Return the named tensors of the first process, of which each gets its part where its namesake in `like` is one.

    Beside the first, processes have memory for one whole tensor at a time, not for all.
    """
    forms = world.first(lambda: [(name, tensor.shape, tensor.dtype, tensor.device) for name, tensor in tensors.items()])
    handed = {}
    for name, shape, dtype, device in forms:
        tensor = tensors[name] if world.main else torch.empty(shape, dtype=dtype, device=device.type)
        if name in like and in_parts(like[name]):
            tensor = placed_like(tensor, like[name])
        else:
            world.same([tensor])
        handed[name] = tensor
    return handed


def in_parts(tensor: Any) -> bool:
    """Whether it is a DTensor, whose module takes a while to be imported."""
    return type(tensor) is not Tensor and type(tensor) is not nn.Parameter and hasattr(tensor, "full_tensor")
