"""One training step of a module."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from maecli.testing.finding import expect
from maecli.text import some


def check_step(name: str, module: nn.Module, loss_of: Callable[[], Tensor]) -> None:
    """Raise `Broken` unless the loss is finite, and its gradients reach every parameter and are not all 0."""
    learning = {path: parameter for path, parameter in module.named_parameters() if parameter.requires_grad}
    expect(bool(learning), f"nothing of {name} learns; leave requires_grad on for the parameters that should")
    torch.manual_seed(0)
    loss = loss_of()
    expect(
        isinstance(loss, Tensor) and loss.shape == (),
        f"the loss of {name} is {_shape(loss)}; return one number, a tensor of shape (): the mean over the batch",
    )
    expect(
        bool(torch.isfinite(loss)),
        f"the loss of {name} is {float(loss.detach())} on the first batch; look for a division by zero or the "
        "logarithm of 0",
    )
    expect(
        loss.requires_grad,
        f"the loss of {name} has no gradient; compute it from the module's outputs, without detach() and no_grad()",
    )
    loss.backward()  # type: ignore[no-untyped-call]
    unreached = [path for path, parameter in learning.items() if parameter.grad is None]
    expect(
        not unreached,
        f"no gradient reaches {some(unreached)} of {name}; use it in the loss, leave it out, or set "
        "requires_grad=False: several processes would wait for it",
    )
    bad = [path for path, parameter in learning.items() if not bool(torch.isfinite(parameter.grad).all())]  # type: ignore[arg-type]
    expect(not bad, f"the gradient of {some(bad)} of {name} is not finite; look for a root or logarithm of 0")
    moving = any(bool(parameter.grad.any()) for parameter in learning.values() if parameter.grad is not None)
    expect(moving, f"a step changes no parameter of {name}: all its gradients are 0; look at how the loss is computed")


def _shape(loss: object) -> str:
    return f"a tensor of shape {tuple(loss.shape)}" if isinstance(loss, Tensor) else f"a {type(loss).__name__}"
