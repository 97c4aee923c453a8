"""The network as a TensorFlow graph, written byte by byte without TensorFlow.

A frozen graph is a `GraphDef` message in the wire format of Protocol Buffers. OpenCV's importer can
read the graph, which has the inputs and outputs of OpenCV's ESPCN.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from espcn.network.model import ESPCN, HALO

# Numbers of fields and types from TensorFlow's graph.proto, node_def.proto, attr_value.proto,
# tensor.proto, tensor_shape.proto, types.proto and versions.proto.
TYPES = {np.dtype(np.float32): 1, np.dtype(np.int32): 3}
FLOAT, INT = TYPES
PRODUCER = 27  # the version of the format: that of 2018, whose operations these are
HEIGHT, WIDTH = 1, 2  # axes of (batch, height, width, channels)

Field = int | str | bytes | Sequence[str] | Sequence[bytes]
Attribute = int | str | list[int] | np.dtype | np.ndarray


def graph_def(network: ESPCN) -> bytes:
    """Return a network as the content of a frozen graph, a .pb file.

    The border is replicated by concatenating slices: TensorFlow has no replicating padding, and its
    mirror padding needs five rows and columns.

    Args:
        network: A luma network that replicates the border, with `center` 0 and `gain` 1.

    Returns:
        A graph from `IteratorGetNext`, float32 `(batch, height, width, 1)`, to `NCHW_output`,
        float32 `(batch, 1, r height, r width)`.
    """
    graph = _Graph()
    flow = graph.add("Placeholder", "IteratorGetNext", dtype=FLOAT)
    for name, axis in (("rows", HEIGHT), ("columns", WIDTH)):
        first = graph.slice(f"first_{name}", flow, axis, 0)
        last = graph.slice(f"last_{name}", flow, axis, -1)
        parts = [first] * HALO + [flow] + [last] * HALO
        along = graph.constant(f"along_{name}", np.int32(axis))
        flow = graph.add(
            "ConcatV2", f"repeated_{name}", *parts, along, N=len(parts), T=FLOAT, Tidx=INT
        )
    activation = {"tanh": "Tanh", "relu": "Relu"}[network.activation]
    for number, layer in enumerate((network.conv1, network.conv2, network.conv3), 1):
        assert layer.bias is not None
        kernel = layer.weight.detach().numpy().transpose(2, 3, 1, 0)  # height, width, in, out
        weight = graph.constant(f"weight{number}", kernel)
        bias = graph.constant(f"bias{number}", layer.bias.detach().numpy())
        flow = graph.add(
            "Conv2D", f"conv{number}", flow, weight,
            T=FLOAT, data_format="NHWC", strides=[1, 1, 1, 1], padding="VALID",
        )  # fmt: skip
        flow = graph.add("BiasAdd", f"add{number}", flow, bias, T=FLOAT, data_format="NHWC")
        if number < 3:
            flow = graph.add(activation, f"activation{number}", flow, T=FLOAT)
    flow = graph.add(
        "DepthToSpace", "NHWC_output", flow, T=FLOAT, block_size=network.r, data_format="NHWC"
    )
    order = graph.constant("NCHW_output/perm", np.array([0, 3, 1, 2], np.int32))
    graph.add("Transpose", "NCHW_output", flow, order, T=FLOAT, Tperm=INT)
    return _message({1: graph.nodes, 4: _message({1: PRODUCER})})


class _Graph:
    """A graph under construction: encoded nodes in topological order."""

    def __init__(self) -> None:
        self.nodes: list[bytes] = []

    def add(self, kind: str, name: str, *inputs: str, **attributes: Attribute) -> str:
        # Returns the name, by which other nodes take the output.
        entries = [_message({1: key, 2: _attribute(value)}) for key, value in attributes.items()]
        self.nodes.append(_message({1: name, 2: kind, 3: inputs, 5: entries}))
        return name

    def constant(self, name: str, value: np.ndarray | np.generic) -> str:
        array = np.asarray(value)
        return self.add("Const", name, dtype=array.dtype, value=array)

    def slice(self, name: str, flow: str, axis: int, index: int) -> str:
        # The first (0) or the last (-1) row or column.
        others = 15 & ~(1 << axis)  # a bit an axis: those that are taken whole
        begins, ends = np.zeros(4, np.int32), np.zeros(4, np.int32)
        begins[axis], ends[axis] = index, index + 1
        limits = (
            self.constant(f"{name}/begin", begins),
            self.constant(f"{name}/end", ends),
            self.constant(f"{name}/stride", np.ones(4, np.int32)),
        )
        return self.add(
            "StridedSlice", name, flow, *limits, T=FLOAT, Index=INT,
            begin_mask=others, end_mask=15 if index == -1 else others,
        )  # fmt: skip


def _attribute(value: Attribute) -> bytes:
    if isinstance(value, np.ndarray):
        return _message({8: _tensor(value)})
    if isinstance(value, np.dtype):
        return _message({6: TYPES[value]})
    if isinstance(value, list):
        return _message({1: _message({3: b"".join(map(_varint, value))})})
    return _message({2 if isinstance(value, str) else 3: value})


def _tensor(array: np.ndarray) -> bytes:
    sizes = [_message({1: size}) for size in array.shape]
    about: dict[int, Field] = {1: TYPES[array.dtype], 2: _message({2: sizes})}
    if array.ndim:
        return _message(about | {4: array.astype(array.dtype.newbyteorder("<")).tobytes()})
    return _message(about | {7: _varint(int(array))})  # the field for single whole numbers


def _message(fields: Mapping[int, Field]) -> bytes:
    """Encode a message: the number and value of each field, repeated for several values."""
    content = b""
    for number, value in fields.items():
        for one in [value] if isinstance(value, int | str | bytes) else value:
            if isinstance(one, int):
                content += _varint(number << 3) + _varint(one)
            else:
                text = one.encode() if isinstance(one, str) else one
                content += _varint(number << 3 | 2) + _varint(len(text)) + text
    return content


def _varint(value: int) -> bytes:
    """Encode a non-negative integer, seven bits per byte, the lowest first."""
    low, rest = value & 127, value >> 7
    return bytes([low | 128]) + _varint(rest) if rest else bytes([low])
