import pytest
import torch

import graphs
from sparsebrain import models
from sparsebrain.experiments.datasets import Images
from sparsebrain.experiments.figures import layer_output


@pytest.fixture
def images():
    draw = torch.Generator().manual_seed(0)
    x, y = torch.rand(40, 9, generator=draw), torch.arange(40) % 2
    return Images("noise", 2, (4, 4), x[:20], y[:20], x[20:], y[20:])


def test_it_is_the_mean_output_of_the_layer(images):
    torch.manual_seed(0)
    model = models.classifier(graphs.grid_local((4, 4), 1), 2, loops=3, in_features=9)
    output = layer_output.measure(model, images)
    seen = []
    model.graph.register_forward_hook(lambda layer, x, y: seen.append(y))
    with torch.no_grad():
        model.eval()(images.test_x)
    wanted = torch.stack([seen[0][images.test_y == label].mean(0) for label in (0, 1)])
    torch.testing.assert_close(output.flatten(1), wanted)
    table = layer_output.table(output)
    assert len(table) == 32
    assert table[-1][:3] == (1, 3, 3)
    assert table[-1][3] == pytest.approx(float(output[1, 3, 3]))
