"""Networks that are valid ONNX, or nearly, and are no plain generators."""

import math
from dataclasses import replace

import numpy as np
import pytest
from onnx import AttributeProto, ModelProto, StringStringEntryProto, TensorProto, helper, numpy_helper

import release_kit as kit
from release_kit import release
from wardgan.errors import NetworkError
from wardgan.sample.engine import engine
from wardgan.sample.network import Graph
from wardgan.seal import onnx_check, onnx_shapes, onnx_wire
from wardgan.seal.onnx_check import check_network
from wardgan.seal.onnx_shapes import MAX_ROW, MAX_ROW_TOTAL

SIZES = {"latent": 3, "variables": 4, "classes": 2}


def model(change=lambda proto: None) -> bytes:
    """Gives the good network after a change of its message."""
    proto = ModelProto.FromString(kit.network())
    change(proto)
    return proto.SerializeToString()


def node(operator, inputs, outputs=("bad",), **attributes):
    def change(proto):
        proto.graph.node.insert(0, helper.make_node(operator, list(inputs), list(outputs), **attributes))

    return change


def constant(name, array):
    def change(proto):
        proto.graph.initializer.append(numpy_helper.from_array(np.asarray(array), name))

    return change


def both(*changes):
    def change(proto):
        for one in changes:
            one(proto)

    return change


def weight(value):
    def change(proto):
        array = numpy_helper.to_array(proto.graph.initializer[0]).copy()
        array.flat[0] = value
        proto.graph.initializer[0].CopyFrom(numpy_helper.from_array(array, "c0"))

    return change


def subgraph(operator):
    inner = helper.make_graph([], "inner", [], [])
    return lambda proto: proto.graph.node.insert(0, helper.make_node(operator, ["latent"], ["bad"], body=inner))


def extra(field):
    """Adds what a generator does not need."""
    entry = StringStringEntryProto(key="patient", value="Q")
    changes = {
        "function": lambda p: p.functions.append(helper.make_function("x", "f", ["a"], ["b"], [], [])),
        "training": lambda p: setattr(p.training_info.add().algorithm, "name", "x"),
        "metadata": lambda p: p.metadata_props.append(entry),
        "doc": lambda p: setattr(p.graph, "doc_string", "patient Q"),
        "node metadata": lambda p: p.graph.node[0].metadata_props.append(entry),
        "value info": lambda p: p.graph.value_info.append(helper.make_tensor_value_info("v0", 1, [1])),
        "sparse": lambda p: p.graph.sparse_initializer.add().dims.append(2),
    }
    return changes[field]


def external(proto):
    tensor = proto.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.append(StringStringEntryProto(key="location", value="/etc/passwd"))


def external_without_flag(proto):
    proto.graph.initializer[0].external_data.append(StringStringEntryProto(key="location", value="../x"))


def tensor(**fields):
    def change(proto):
        one = TensorProto(name="t", data_type=1, dims=[1], raw_data=bytes(4))
        for name, value in fields.items():
            one.ClearField(name)
            if isinstance(value, list):
                getattr(one, name).extend(value)
            else:
                setattr(one, name, value)
        proto.graph.initializer.append(one)

    return change


def shape_of(where, size, at=1):
    def change(proto):
        values = proto.graph.input if where == "input" else proto.graph.output
        values[0].type.tensor_type.shape.dim[at].dim_value = size

    return change


def kind_of(name, kind):
    def change(proto):
        for value in (*proto.graph.input, *proto.graph.output):
            if value.name == name:
                value.type.tensor_type.elem_type = kind

    return change


def opset(version, domain=""):
    def change(proto):
        proto.opset_import[0].version = version
        proto.opset_import[0].domain = domain

    return change


def reference(proto):
    bad = helper.make_node("Flatten", ["latent"], ["bad"])
    bad.attribute.append(AttributeProto(name="axis", type=AttributeProto.INT, ref_attr_name="x"))
    proto.graph.node.insert(0, bad)


def grow(times):
    """Doubles a tensor again and again."""

    def change(proto):
        name = "latent"
        for at in range(times):
            proto.graph.node.insert(at, helper.make_node("Concat", [name, name], [f"d{at}"], axis=1))
            name = f"d{at}"

    return change


def outer(proto):
    """N x N numbers for N patients."""
    both(constant("row", np.array([1, -1])), constant("last", np.array([2])))(proto)
    proto.graph.node.insert(0, helper.make_node("Cast", ["label"], ["f"], to=1))
    proto.graph.node.insert(1, helper.make_node("Reshape", ["f", "row"], ["bad"]))


def onnx_length(data: bytes) -> bytes:
    size, out = len(data), bytearray()
    while size > 127:
        out.append(size & 127 | 128)
        size >>= 7
    return bytes([*out, size]) + data


def deep_message() -> bytes:
    """Graph in attribute in node in graph ..., two hundred times."""
    data = b""
    for _ in range(200):
        data = b"\x0a" + onnx_length(b"\x2a" + onnx_length(b"\x32" + onnx_length(data)))
    return b"\x3a" + onnx_length(data)


def sequence_input() -> bytes:
    def change(proto):
        proto.graph.input[0].type.sequence_type.elem_type.tensor_type.elem_type = 1

    return model(change)


def wide_output() -> bytes:
    def change(proto):
        proto.graph.node.pop()
        proto.graph.node.append(helper.make_node("Concat", ["v3", "v3"], ["units"], axis=1))

    return model(change)


def integer_output() -> bytes:
    def change(proto):
        proto.graph.node.pop()
        proto.graph.node.append(helper.make_node("Cast", [proto.graph.node[-1].output[0]], ["units"], to=7))

    return model(change)


def constant_output() -> bytes:
    def change(proto):
        proto.graph.node.pop()
        proto.graph.node.append(helper.make_node("Identity", ["c1"], ["units"]))

    return model(change)


def many_nodes() -> bytes:
    graph = Graph(latent=3)
    name = "latent"
    for _ in range(5001):
        name = graph.add("Relu", name)
    return graph.finish(graph.add("MatMul", name, graph.floats(np.ones((3, 4)))), variables=4)


def attribute_twice(proto):
    bad = helper.make_node("Flatten", ["latent"], ["bad"], axis=1)
    bad.attribute.append(bad.attribute[0])
    proto.graph.node.insert(0, bad)


def expand_rows(proto):
    """A row for each patient, made wide."""
    proto.graph.node.insert(0, helper.make_node("MatMul", ["latent", "o3"], ["one"]))
    proto.graph.node.insert(1, helper.make_node("Expand", ["one", "s"], ["bad"]))
    constant("o3", np.ones((3, 1), np.float32))(proto)


def resized(times):
    def change(proto):
        constant("s", np.float32([1, 64]))(proto)
        name = "latent"
        for at in range(times):
            proto.graph.node.insert(at, helper.make_node("Resize", [name, "", "s"], [f"r{at}"], mode="nearest"))
            name = f"r{at}"

    return change


def broadcast() -> bytes:
    def change(proto):
        constant("tall", np.ones((2000, 1), np.float32))(proto)
        constant("flat", np.ones((1, 2000), np.float32))(proto)
        constant("w", np.ones((3, 1, 1), np.float32))(proto)
        constant("one", np.array([1, 1, 1]))(proto)
        nodes = [
            helper.make_node("ReduceSum", ["latent", "axis"], ["sum"], keepdims=1),
            helper.make_node("Unsqueeze", ["sum", "axis"], ["cube"]),
            helper.make_node("Add", ["cube", "tall"], ["b0"]),
            helper.make_node("Add", ["b0", "flat"], ["b1"]),
        ]
        constant("axis", np.array([1]))(proto)
        for at, one in enumerate(nodes):
            proto.graph.node.insert(at, one)

    return model(change)


def padded_convolution(pad: int) -> bytes:
    def change(proto):
        constant("k", np.ones((1, 1, 1), np.float32))(proto)
        constant("axis", np.array([1]))(proto)
        proto.graph.node.insert(0, helper.make_node("Unsqueeze", ["latent", "axis"], ["cube"]))
        proto.graph.node.insert(1, helper.make_node("Conv", ["cube", "k"], ["bad"], pads=[pad, pad]))

    return model(change)


def late_growth(proto):
    """Nothing up to 600 patients, and then the square of what is beyond."""
    for name, value in (("from", 600), ("to", (1 << 63) - 1), ("axis", 0), ("row", [1, -1])):
        constant(name, np.atleast_1d(np.array(value, dtype=np.int64)))(proto)
    proto.graph.node.insert(0, helper.make_node("Slice", ["label", "from", "to", "axis"], ["bad"]))
    proto.graph.node.insert(1, helper.make_node("Reshape", ["bad", "row"], ["worse"]))


def many_wide() -> bytes:
    """Each tensor is within its cap, together they are not."""
    graph = Graph(latent=3)
    name = graph.add("MatMul", "latent", graph.floats(np.ones((3, MAX_ROW // 8))))
    for _ in range(12):
        name = graph.add("Relu", name)
    return graph.finish(graph.add("MatMul", name, graph.floats(np.ones((MAX_ROW // 8, 4)))), variables=4)


def many_constants() -> bytes:
    def change(proto):
        constant("s", np.array([1 << 13, 1 << 13]))(proto)
        for at in range(3):
            proto.graph.node.insert(0, helper.make_node("ConstantOfShape", ["s"], [f"big{at}"]))

    return model(change)


def divided(numerator, denominator, operator="Div"):
    """Divides whole numbers; a processor stops the process at 0, and at the smallest number / -1."""
    return both(
        constant("n", np.array([numerator])), constant("d", np.array([denominator])), node(operator, ["n", "d"])
    )


def divided_label(proto):
    """The same where the numerator is only known when it runs."""
    both(constant("n", np.array([-(1 << 63)])), constant("d", np.array([-1])))(proto)
    proto.graph.node.insert(0, helper.make_node("Mul", ["label", "n"], ["low"]))
    proto.graph.node.insert(1, helper.make_node("Div", ["low", "d"], ["bad"]))


def product_of_constants() -> bytes:
    """A file of 2 KB that asks for 10^11 multiplications whoever the patients are."""

    def change(proto):
        constant("s", np.array([4096, 4096]))(proto)
        proto.graph.node.insert(0, helper.make_node("ConstantOfShape", ["s"], ["big"]))
        proto.graph.node.insert(1, helper.make_node("MatMul", ["big", "big"], ["bigger"]))

    return model(change)


def many_products(times: int) -> bytes:
    """The same for each patient, again and again: each tensor is small."""
    graph = Graph(latent=1)
    square = graph.add("ConstantOfShape", graph.whole([4096, 4096]))
    wide = graph.add("Expand", "latent", graph.whole([1, 4096]))
    for _ in range(times):
        wide = graph.add("MatMul", wide, square)
    return graph.finish(graph.add("ReduceMean", wide, axes=[1], keepdims=1), variables=1)


def heavy_convolution() -> bytes:
    graph = Graph(latent=4096)
    image = graph.add("Reshape", "latent", graph.whole([-1, 1, 64, 64]))
    kernel = graph.add("ConstantOfShape", graph.whole([16, 1, 32, 32]))
    first = graph.add("Conv", image, kernel)  # (patients, 16, 33, 33)
    again = graph.add("ConvTranspose", first, graph.add("ConstantOfShape", graph.whole([16, 8, 63, 63])), pads=[31] * 4)
    flat = graph.add("Flatten", again)
    return graph.finish(graph.add("ReduceMean", flat, axes=[1], keepdims=1), variables=1)


def wide_maximum() -> bytes:
    """Operators that read 4,000 operands for each of their 10,000 numbers."""
    graph = Graph(latent=1)
    row = graph.add("Expand", "latent", graph.whole([1, 10_000]))
    for _ in range(14):
        last = graph.add("Max", row, *["latent"] * 4_000)
    return graph.finish(graph.add("ReduceMean", last, axes=[1], keepdims=1), variables=1)


CASES = {
    "no bytes": (lambda: b"", "0 graphs"),
    "no protobuf": (lambda: b"\xff" * 100, "protobuf is damaged"),
    "group wire type": (lambda: b"\x0b", "protobuf is damaged"),
    "cut off": (lambda: kit.network()[:-5], "protobuf is damaged"),
    "two graphs": (lambda: kit.network() * 2, "2 graphs"),
    "bytes without a field": (lambda: kit.network() + b"\xfa\x7f\x06secret", "no field of an ONNX model accounts"),
    "a field twice": (lambda: kit.network() + b"\x08\x09", "no field of an ONNX model accounts"),
    "empty nodes": (lambda: b"\x3a" + onnx_length(b"\x0a\x00" * 500_000), "more than 20000 entries"),
    "much structure": (lambda: model(lambda p: setattr(p.graph, "name", "x" * (5 << 20))), "besides raw weights"),
    "weights as numbers": (
        lambda: model(tensor(raw_data=b"", dims=[2 << 20], float_data=[0.0] * (2 << 20))),
        "besides raw",
    ),
    "deep message": (deep_message, "not an ONNX model|subgraph"),
    # message
    "function": (lambda: model(extra("function")), "functions of its own"),
    "training": (lambda: model(extra("training")), "training information"),
    "metadata": (lambda: model(extra("metadata")), "metadata"),
    "metadata of a node": (lambda: model(extra("node metadata")), "metadata"),
    "free text": (lambda: model(extra("doc")), "free text"),
    "value info": (lambda: model(extra("value info")), "value_info"),
    "sparse tensor": (lambda: model(extra("sparse")), "sparse tensors"),
    "external data": (lambda: model(external), "outside the file"),
    "external data, no flag": (lambda: model(external_without_flag), "outside the file"),
    "If": (lambda: model(subgraph("If")), "subgraph"),
    "Loop": (lambda: model(subgraph("Loop")), "subgraph"),
    "Scan": (lambda: model(subgraph("Scan")), "subgraph"),
    "Loop without body": (lambda: model(node("Loop", ["latent"])), "operator 'Loop' is not allowed"),
    "attribute by reference": (lambda: model(reference), "ref_attr_name"),
    "sequence input": (sequence_input, "sequence_type"),
    # versions, domains, operators
    "IR version": (lambda: model(lambda p: setattr(p, "ir_version", 99)), "IR version 99"),
    "old operators": (lambda: model(opset(7)), "operator set"),
    "new operators": (lambda: model(opset(99)), "operator set"),
    "no operators": (lambda: model(lambda p: p.ClearField("opset_import")), "operator set"),
    "foreign domain": (lambda: model(opset(1, "com.evil")), "foreign domain 'com.evil'"),
    "second domain": (
        lambda: model(lambda p: p.opset_import.append(helper.make_opsetid("ai.onnx.ml", 3))),
        "foreign domain 'ai.onnx.ml'",
    ),
    "node of a domain": (lambda: model(node("Relu", ["latent"], domain="com.evil")), "foreign domain"),
    "foreign operator": (lambda: model(node("RandomNormal", [], shape=[2])), "'RandomNormal' is not allowed"),
    "escape in a name": (lambda: model(node("\x1b[2J", ["latent"])), "operator '.x1b.2J' is not allowed"),
    "whole numbers divided": (lambda: model(divided(-(1 << 63), -1)), "Div has an operand 1 of the wrong data type"),
    "divided by 0": (lambda: model(divided(1, 0)), "Div has an operand 1 of the wrong data type"),
    "labels divided": (lambda: model(divided_label), "Div has an operand 1 of the wrong data type"),
    "whole power": (lambda: model(divided(0, -1, "Pow")), "Pow has an operand 1 of the wrong data type"),
    # tensors
    "NaN weight": (lambda: model(weight(math.nan)), "not finite"),
    "infinite weight": (lambda: model(weight(math.inf)), "not finite"),
    "NaN constant": (
        lambda: model(node("Constant", [], value=numpy_helper.from_array(np.float32([math.nan])))),
        "not finite",
    ),
    "infinite attribute": (lambda: model(node("LeakyRelu", ["latent"], alpha=math.inf)), "not finite"),
    "text tensor": (lambda: model(tensor(data_type=8)), "data type that is not allowed"),
    "complex tensor": (lambda: model(tensor(data_type=14)), "data type that is not allowed"),
    "too few numbers": (lambda: model(tensor(dims=[5])), "does not hold the numbers"),
    "too many numbers": (lambda: model(tensor(raw_data=bytes(40))), "does not hold the numbers"),
    "numbers of another type": (lambda: model(tensor(raw_data=b"", int64_data=[1])), "cannot be read|does not hold"),
    "two kinds of numbers": (lambda: model(tensor(float_data=[1.0])), "does not hold the numbers"),
    "negative shape": (lambda: model(tensor(dims=[-1])), "impossible shape"),
    "overflowing shape": (lambda: model(tensor(dims=[1 << 40, 1 << 40])), "impossible shape"),
    "many axes": (lambda: model(tensor(dims=[1] * 30)), "impossible shape"),
    # contract
    "undeclared input": (
        lambda: model(lambda p: p.graph.input.append(helper.make_tensor_value_info("more", 1, ["N"]))),
        "inputs are not latent",
    ),
    "missing input": (lambda: model(lambda p: p.graph.input.pop()), "inputs are not latent"),
    "other name": (lambda: model(lambda p: setattr(p.graph.input[0], "name", "z")), "inputs are not latent"),
    "latent size": (lambda: model(shape_of("input", 9)), "inputs are not latent"),
    "fixed patients": (lambda: model(shape_of("input", 5, at=0)), "N free"),
    "output size": (lambda: model(shape_of("output", 9)), "output is not units"),
    "output type": (lambda: model(kind_of("units", 7)), "output is not units"),
    "label type": (lambda: model(kind_of("label", 1)), "inputs are not latent"),
    "second output": (
        lambda: model(lambda p: p.graph.output.append(helper.make_tensor_value_info("v0", 1, ["N", 4]))),
        "output is not units",
    ),
    "output's true size": (wide_output, r"float32 .N, 8., not 4 float32"),
    "output's true type": (integer_output, "units is int64"),
    "output from nowhere": (lambda: model(lambda p: p.graph.node.pop()), "no node gives the output"),
    "constant output": (constant_output, r"float32 .2, 4., not 4 float32"),
    "label table": (lambda: kit.network(classes=3), "one row for each of 2 classes"),
    # names
    "undefined name": (lambda: model(node("Relu", ["ghost"])), "reads 'ghost'"),
    "later name": (lambda: model(node("Relu", ["v1"])), "reads 'v1'"),
    "name twice": (lambda: model(node("Relu", ["latent"], outputs=["v1"])), "a second time"),
    "weight hides input": (lambda: model(constant("latent", np.zeros(3))), "given twice"),
    "two outputs": (lambda: model(node("Relu", ["latent"], outputs=["a", "b"])), "exactly one output"),
    "no output": (lambda: model(node("Relu", ["latent"], outputs=[])), "exactly one output"),
    "attribute twice": (lambda: model(attribute_twice), "attribute twice"),
    "unknown attribute": (lambda: model(node("Relu", ["latent"], hook=1)), "attribute 'hook', which is not allowed"),
    "missing operand": (lambda: model(node("MatMul", ["latent"])), "has 1 operands"),
    # memory
    "many nodes": (many_nodes, "5003 nodes are more than 4096"),
    "huge ConstantOfShape": (
        lambda: model(both(constant("s", np.array([1 << 20, 1 << 20])), node("ConstantOfShape", ["s"]))),
        "ConstantOfShape would hold",
    ),
    "huge Expand": (
        lambda: model(both(constant("s", np.array([1, 1 << 26])), constant("o", np.float32([[1]])), expand_rows)),
        "would hold",
    ),
    "huge Resize": (
        lambda: model(both(constant("s", np.float32([1, 1e6])), node("Resize", ["latent", "", "s"]))),
        "scales beyond 64",
    ),
    "repeated Resize": (lambda: model(resized(5)), "would hold"),
    "Resize to sizes": (
        lambda: model(both(constant("s", np.array([1, 10**9])), node("Resize", ["latent", "", "", "s"]))),
        "has 4 operands",
    ),
    "Reshape overflow": (
        lambda: model(both(constant("s", np.array([1 << 32, 1 << 32, -1])), node("Reshape", ["latent", "s"]))),
        "does not keep a row",
    ),
    "below 0": (lambda: model(both(constant("s", np.array([-7])), node("ConstantOfShape", ["s"]))), "malformed shape"),
    "shape from data": (
        lambda: model(both(node("Reshape", ["latent", "s"]), node("Cast", ["label"], outputs=["s"], to=7))),
        "computes its shape",
    ),
    "doubling": (lambda: model(grow(30)), "would hold"),
    "broadcast": (broadcast, "would hold"),
    "wide convolution": (lambda: padded_convolution(1 << 19), "pads that are not from 0 to 4096"),
    "absurd padding": (lambda: padded_convolution(1 << 40), "beyond 1048576"),
    "patients times patients": (lambda: model(outer), "first axis of the tensor 'bad' of a Reshape"),
    "patients swapped away": (lambda: model(node("Transpose", ["latent"], perm=[1, 0])), "first axis of the tensor"),
    "patients summed": (
        lambda: model(both(constant("s", np.array([0])), node("ReduceSum", ["latent", "s"]))),
        "mixes patients",
    ),
    "read beyond memory": (
        lambda: model(both(constant("i", np.array([[0]])), node("GatherND", ["latent", "i"], batch_dims=-1))),
        "batch_dims=-1",
    ),
    "empty tensor": (lambda: model(constant("e", np.zeros(0, np.float32))), "impossible shape"),
    "setting of another version": (
        lambda: model(node("ReduceSum", ["latent"], axes=[1])),
        "breaks a rule of ONNX: .Unrecognized attribute: axes",
    ),
    "many wide tensors": (many_wide, "all tensors of one patient would hold"),
    "many constants": (many_constants, "all constants would hold"),
    # time
    "product of constants": (product_of_constants, "multiplications for its constants are more than 536870912"),
    "late growth": (lambda: model(late_growth), "mixes patients"),
    "Squeeze without axes": (lambda: model(node("Squeeze", ["latent"])), "has 1 operands"),
    "shapes that do not fit": (
        lambda: model(both(constant("s", np.ones((7, 7), np.float32)), node("MatMul", ["latent", "s"]))),
        "do not fit",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_hostile_network_is_refused(name):
    make, phrase = CASES[name]
    data = make()
    with pytest.raises(NetworkError, match=phrase) as found:
        check_network(data, **SIZES)
    assert len(str(found.value)) < 500
    assert str(found.value).isprintable()


def test_the_plain_network_passes():
    check_network(kit.network(), **SIZES)


def test_hostile_network_inside_a_file_is_refused(tmp_path):
    path = kit.write(tmp_path, kit.forge(network=model(weight(math.nan))))
    with pytest.raises(NetworkError, match="not finite"):
        release.load(path)
    with pytest.raises(NetworkError, match="not finite"):
        release.inspect(path)


def test_own_hostile_network_is_not_released(tmp_path):
    made = kit.fit(network=model(weight(math.inf)))
    with pytest.raises(NetworkError, match="not finite"):
        release.release(made, tmp_path / "x.hgan")
    assert list(tmp_path.iterdir()) == []


def test_bytes_that_an_engine_would_read_as_another_network():
    """The engine looks for the mark of its own format first: one network would be checked, and another one run."""

    def marked(proto):
        proto.ir_version = 8
        proto.producer_name = "ORTM"

    data = model(marked)
    assert data[4:8] == b"ORTM"
    with pytest.raises(NetworkError, match="could be read in two ways"):
        check_network(data, **SIZES)
    with pytest.raises(NetworkError, match="could be read in two ways"):
        engine(data)
    for other in (b"", b"\x00\x00\x00\x00ORTM" + bytes(64)):
        with pytest.raises(NetworkError):
            engine(other)


def test_many_empty_nodes_are_counted_before_they_become_objects(monkeypatch):
    """Four megabytes of empty nodes would take 300 MB once parsed."""
    monkeypatch.setattr(onnx_check, "_parse", lambda data: pytest.fail("parsed"))
    with pytest.raises(NetworkError, match="more than 20000 entries"):
        check_network(b"\x3a" + onnx_length(b"\x0a\x00" * (onnx_wire.MAX_STRUCTURE // 2)), **SIZES)


def test_parameters_are_capped_together(monkeypatch):
    total = 3 * 4 + 2 * 4 + 1
    monkeypatch.setattr(onnx_check, "MAX_PARAMETERS", total)
    check_network(kit.network(), **SIZES)
    monkeypatch.setattr(onnx_check, "MAX_PARAMETERS", total - 1)
    with pytest.raises(NetworkError, match="21 parameters are more than 20"):
        check_network(kit.network(), **SIZES)


@pytest.mark.parametrize(("width", "passes"), [(MAX_ROW // 4, True), (MAX_ROW // 4 + 1, False)])
def test_width_of_a_patient_is_capped_exactly(width, passes):
    graph = Graph(latent=1)
    wide = graph.add("MatMul", "latent", graph.floats(np.ones((1, width))))
    network = graph.finish(graph.add("ReduceMean", wide, axes=[1], keepdims=1), variables=1)
    if passes:
        check_network(network, latent=1, variables=1, classes=1)
    else:
        with pytest.raises(NetworkError, match="would hold"):
            check_network(network, latent=1, variables=1, classes=1)


@pytest.mark.parametrize(("latent", "passes"), [(MAX_ROW // 4, True), (MAX_ROW // 4 + 1, False), (1_000_000, False)])
def test_latent_numbers_are_capped(latent, passes):
    """A million for each patient were 61 GiB for the smallest sample."""
    graph = Graph(latent=latent)
    first = graph.add("Slice", "latent", graph.whole([0]), graph.whole([1]), graph.whole([1]))
    network = graph.finish(first, variables=1)
    if passes:
        assert check_network(network, latent=latent, variables=1, classes=1) == 4 * latent + 8
    else:
        with pytest.raises(NetworkError, match=rf"the latent vector would hold {4 * latent} bytes, more than 262144"):
            check_network(network, latent=latent, variables=1, classes=1)


def test_latent_numbers_count_among_all_tensors(monkeypatch):
    """Three of them, and six tensors of four numbers."""
    limits = replace(onnx_shapes.PATIENT, total=12 + 6 * 16)
    assert check_network(kit.network(), **SIZES, limits=limits) == 108
    with pytest.raises(NetworkError, match="all tensors of one patient would hold 108 bytes, more than 107"):
        check_network(kit.network(), **SIZES, limits=replace(limits, total=12 + 6 * 16 - 1))


@pytest.mark.parametrize(
    ("side", "kernel", "passes"), [(8, 8, True), (32, 64, True), (64, 128, False), (256, 511, False)]
)
def test_the_columns_of_a_transposed_convolution_are_capped(side, kernel, passes):
    """The engine writes all of them down: 64 GiB for a file of 1 MB, before anything is cut off."""
    graph = Graph(latent=1)
    wide = graph.add("MatMul", "latent", graph.floats(np.ones((1, side * side))))
    image = graph.add("Reshape", wide, graph.whole([-1, 1, side, side]))
    more = graph.add("ConvTranspose", image, graph.floats(np.ones((1, 1, kernel, kernel))), pads=[kernel // 2] * 4)
    first = graph.add("Slice", more, graph.whole([0, 0]), graph.whole([1, 1]), graph.whole([2, 3]))
    network = graph.finish(graph.add("Reshape", first, graph.whole([-1, 1])), variables=1)
    if passes:
        check_network(network, latent=1, variables=1, classes=1, limits=onnx_shapes.IMAGE)
    else:
        with pytest.raises(NetworkError, match="the columns of"):
            check_network(network, latent=1, variables=1, classes=1, limits=onnx_shapes.IMAGE)


@pytest.mark.parametrize(("kind", "bytes_each"), [(1, 4), (7, 8), (9, 1), (10, 2), (11, 8)])
def test_tensors_are_counted_in_bytes(kind, bytes_each):
    for width, passes in ((MAX_ROW // max(bytes_each, 4), True), (MAX_ROW // max(bytes_each, 4) + 1, False)):
        graph = Graph(latent=1)
        wide = graph.add("MatMul", "latent", graph.floats(np.ones((1, width))))
        network = graph.finish(
            graph.add("ReduceMean", graph.add("Cast", graph.add("Cast", wide, to=kind), to=1), axes=[1]), variables=1
        )
        if passes:
            row = check_network(network, latent=1, variables=1, classes=1)
            assert row == 4 + width * (8 + bytes_each) + 8 <= MAX_ROW_TOTAL
        else:
            with pytest.raises(NetworkError, match="would hold"):
                check_network(network, latent=1, variables=1, classes=1)


@pytest.mark.parametrize(("times", "passes"), [(31, True), (32, False)])
def test_products_for_one_patient_are_capped(times, passes):
    """Each product takes 4,096 x 4,096 multiplications: 2^24 of 2^29."""
    if passes:
        check_network(many_products(times), latent=1, variables=1, classes=1)
    else:
        with pytest.raises(NetworkError, match="multiplications for one patient are more than 536870912"):
            check_network(many_products(times), latent=1, variables=1, classes=1)


@pytest.mark.parametrize(("make", "latent"), [(heavy_convolution, 4096), (wide_maximum, 1)])
def test_other_heavy_operators_are_counted(make, latent):
    with pytest.raises(NetworkError, match="multiplications for one patient are more than"):
        check_network(make(), latent=latent, variables=1, classes=1)


def test_the_widest_tables_have_room():
    """A copula of 1,000 variables and two classes takes a tenth of the memory and less of the time."""
    from wardgan.models.anchor.network import add_factors

    graph = Graph(latent=1000)
    units = graph.add("Sigmoid", add_factors(graph, "latent", np.stack([np.eye(1000)] * 2)))
    row = check_network(graph.finish(units, variables=1000), latent=1000, variables=1000, classes=2)
    assert 30_000 < row < MAX_ROW_TOTAL / 10


def test_whole_numbers_divided_inside_a_file_are_refused(tmp_path):
    """The engine is never asked: it would take the whole process with it."""
    for change in (divided(-(1 << 63), -1), divided_label):
        path = kit.write(tmp_path, kit.forge(network=model(change)))
        for read in (release.load, release.inspect):
            with pytest.raises(NetworkError, match="wrong data type"):
                read(path)
