"""Feedback alignment: errors come back through weights of their own."""

from __future__ import annotations

from sparsebrain.learning.alignment import FeedbackRule


class FeedbackAlignment(FeedbackRule):
    r"""Errors come back through fixed random weights B in the place of W^T.

    .. math:: \delta_l = B_{l+1} \delta_{l+1} \odot f'(u_l)

    B has a weight for every weight of the model, on the same synapses backwards, and never learns.
    In the course of learning W turns so that B's errors are of use; :meth:`alignment` tells the
    angle. Teaches models whose weights are those of nn.Linear and :class:`~sparsebrain.GraphLayer`,
    on any connectome. Each loop is a layer, all with the same B; an
    :class:`~sparsebrain.Equilibrium` settles back along B as well, :math:`v = B (f' v) +
    \partial L / \partial z`, and ``report.gradient`` tells whether it did.

    Args:
        model: of nn.Linear and GraphLayer, with whatever acts unit by unit between them.
        loss: "cross-entropy" or "quadratic".
        generator: draws B; torch's own by default.

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
