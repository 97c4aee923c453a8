"""The graph of TensorFlow's, as TensorBoard's own reader of the format understands it."""

import numpy as np
import pytest
from tensorboard.compat.proto.graph_pb2 import GraphDef
from tensorboard.util.tensor_util import make_ndarray

from espcn.export.superres import full_range
from espcn.export.tensorflow import graph_def
from espcn.network.model import ESPCN


def parse(content: bytes) -> GraphDef:
    graph = GraphDef()
    graph.ParseFromString(content)
    assert graph.SerializeToString(deterministic=True)
    return graph


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_graph_has_opencvs_names_and_is_in_order(activation: str) -> None:
    graph = parse(graph_def(ESPCN(3, activation=activation, center=0, gain=1)))
    known: set[str] = set()
    for node in graph.node:
        assert known.issuperset(node.input), node.name
        assert node.name not in known
        known.add(node.name)
    first, last = graph.node[0], graph.node[-1]
    assert (first.op, first.name) == ("Placeholder", "IteratorGetNext")
    assert (last.op, last.name) == ("Transpose", "NCHW_output")
    kinds = [node.op for node in graph.node if node.op not in ("Const", "StridedSlice", "ConcatV2")]
    act = activation.capitalize()
    layers = ["Conv2D", "BiasAdd", act] * 2 + ["Conv2D", "BiasAdd"]
    assert kinds == ["Placeholder", *layers, "DepthToSpace", "Transpose"]
    assert graph.versions.producer > 0


@pytest.mark.parametrize("r", [2, 3, 4])
def test_attributes_and_weights_are_read_back(r: int) -> None:
    network = full_range(ESPCN(r))
    nodes = {node.name: node for node in parse(graph_def(network)).node}
    assert nodes["NHWC_output"].attr["block_size"].i == r
    assert list(nodes["conv1"].attr["strides"].list.i) == [1, 1, 1, 1]
    assert nodes["conv1"].attr["padding"].s == b"VALID"
    for number, layer in enumerate((network.conv1, network.conv2, network.conv3), 1):
        weight = make_ndarray(nodes[f"weight{number}"].attr["value"].tensor)
        bias = make_ndarray(nodes[f"bias{number}"].attr["value"].tensor)
        assert layer.bias is not None
        for found, own in ((weight.transpose(3, 2, 0, 1), layer.weight), (bias, layer.bias)):
            np.testing.assert_array_equal(found, own.detach().numpy())
    assert make_ndarray(nodes["along_columns"].attr["value"].tensor) == 2
    last = [
        make_ndarray(nodes[f"last_columns/{end}"].attr["value"].tensor) for end in ("begin", "end")
    ]
    assert [list(limit) for limit in last] == [[0, 0, -1, 0], [0, 0, 0, 0]]
    # A bit for each axis that is taken whole; the end of the last column is that of the picture.
    masks = [nodes["last_columns"].attr[f"{end}_mask"].i for end in ("begin", "end")]
    assert masks == [0b1011, 0b1111]
