"""Views side by side in one batch."""

from collections.abc import Sequence

import torch
from torch import Tensor


def same_rows(views: Sequence[Tensor], *, n_views: int | None = 2) -> Sequence[Tensor]:
    """Views of the same rows, as they are; refuses what are none.

    Parameters
    ----------
    views
        Each ``(batch, ...)``.
    n_views
        How many there must be; None for two or more.

    Raises
    ------
    ValueError
        If there are too few or too many, or they have different numbers of rows.
    """
    wanted = "two views or more" if n_views is None else f"{n_views} views"
    if len(views) < 2 or n_views not in (None, len(views)):
        raise ValueError(f"the objective compares {wanted} of the same rows, found {len(views)}")
    if len({len(view) for view in views}) > 1:
        found = " and ".join(str(len(view)) for view in views)
        raise ValueError(f"the objective compares {wanted} of the same rows, found views of {found} rows")
    return views


def joined(views: Sequence[Tensor]) -> Tensor:
    """Rows of all views, ``(n_views * batch, n_features)``: not copied where they lie one after the other already.

    >>> both = torch.arange(8.0).view(2, 2, 2)
    >>> joined(both.unbind()).data_ptr() == both.data_ptr()
    True
    """
    first = views[0]
    places = [first.storage_offset() + i * first.numel() for i in range(len(views))] if first._base is not None else []
    if places == [view.storage_offset() for view in views if view._base is first._base and view.is_contiguous()]:
        return first.as_strided((len(views) * len(first), *first.shape[1:]), first.stride())
    return torch.cat(tuple(views))
