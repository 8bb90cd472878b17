"""Feedback alignment: errors are propagated through fixed random weights."""

from __future__ import annotations

from sparsebrain.learning.alignment import FeedbackRule


class FeedbackAlignment(FeedbackRule):
    r"""Feedback alignment: errors are propagated through fixed random weights B instead of W^T.

    .. math:: \delta_l = B_{l+1} \delta_{l+1} \odot f'(u_l)

    B has one weight for every weight of the model, on the reversed synapses, and never learns.
    During learning W aligns with B, so that the errors become useful; :meth:`alignment` measures
    the angle.

    The rule trains models whose weights are those of nn.Linear and
    :class:`~sparsebrain.GraphLayer`, on any connectome. Each loop is a layer, and all loops use the
    same B. An :class:`~sparsebrain.Equilibrium` solves its backward equation with B as well,
    :math:`v = B (f' v) + \partial L / \partial z`; ``report.gradient`` says whether it converged.

    Args:
        model: A model of nn.Linear and GraphLayer, with elementwise modules between them.
        loss: "cross-entropy" or "quadratic" for labels, or "mse" for targets.
        generator: The generator that draws B; torch's global one by default.

    Raises:
        TypeError: An argument has a wrong type.
        ValueError: The rule cannot train the model, or ``loss`` is unknown.

    Source: T. P. Lillicrap, D. Cownden, D. B. Tweed, C. J. Akerman, "Random synaptic feedback
    weights support error backpropagation for deep learning", Nature Communications 7, 13276 (2016).

    Example:
        >>> import torch
        >>> from sparsebrain.learning import FeedbackAlignment
        >>> _ = torch.manual_seed(0)
        >>> hidden, out = torch.nn.Linear(8, 16), torch.nn.Linear(16, 3)
        >>> rule = FeedbackAlignment(torch.nn.Sequential(hidden, torch.nn.Tanh(), out))
        >>> x, y = torch.randn(32, 8), torch.randint(3, (32,))
        >>> optimizer = torch.optim.SGD(rule.parameters(), lr=0.5)
        >>> before = rule.alignment(x, y)
        >>> for _ in range(100):
        ...     optimizer.zero_grad()
        ...     loss = rule(x, y)
        ...     optimizer.step()
        >>> after = rule.alignment(x, y)
        >>> list(after), after["2"] < before["2"]
        (['2'], True)
    """
