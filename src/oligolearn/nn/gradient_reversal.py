"""A layer that turns gradients around."""

from torch import Tensor


def reverse_gradient(x: Tensor, strength: float = 1.0) -> Tensor:
    """Give `x` as it is; its gradient is multiplied by ``-strength`` on the way back (Ganin 2016, eq. 16 and 17).

    Examples
    --------
    >>> import torch
    >>> x = torch.tensor(3.0, requires_grad=True)
    >>> y = reverse_gradient(x, 0.5) ** 2
    >>> y.backward()
    >>> y.item(), x.grad.item()
    (9.0, -3.0)
    """
    return x.detach() - strength * (x - x.detach())
