"""Our shape rules against ONNX's own inference, on friendly networks of every operator."""

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

import release_kit as kit
from wardgan.errors import NetworkError
from wardgan.sample.network import Graph
from wardgan.seal.onnx_check import check_network
from wardgan.seal.onnx_rules import RULES
from wardgan.seal.onnx_shapes import infer, work
from wardgan.seal.onnx_values import PATIENTS


def f32(*shape):
    return np.ones(shape, np.float32)


def i64(*numbers):
    return np.array(numbers, dtype=np.int64)


UNARY = [
    "Abs",
    "Ceil",
    "Erf",
    "Exp",
    "Floor",
    "Identity",
    "LeakyRelu",
    "Log",
    "Neg",
    "Relu",
    "Round",
    "Sigmoid",
    "Softplus",
    "Sqrt",
    "Tanh",
]
BINARY = ["Add", "Div", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Max", "Min", "Mul", "Pow", "Sub"]

# Operator, operands (`latent`, `label`, `image` (N, 2, 4, 6), `truth` (N, 3), or a constant), settings.
CASES = [
    *((name, ["latent"], {}) for name in UNARY),
    *((name, ["latent", f32(3)], {}) for name in BINARY),
    *((name, ["latent", f32(2, 1, 1, 3)[0, 0]], {}) for name in BINARY),
    ("Add", ["label", i64(4)], {}),
    ("Add", [f32(1, 3), "latent"], {}),
    ("Max", ["latent"], {}),
    ("Min", ["latent", f32(3), f32()], {}),
    ("And", ["truth", "truth"], {}),
    ("Or", ["truth", np.ones(3, bool)], {}),
    ("Not", ["truth"], {}),
    ("Where", ["truth", "latent", f32()], {}),
    ("Cast", ["label"], {"to": 1}),
    ("Cast", ["latent"], {"to": 9}),
    ("Clip", ["latent", f32(), f32()], {}),
    ("Clip", ["latent", "", f32()], {}),
    ("Softmax", ["latent"], {}),
    ("Softmax", ["image"], {"axis": 1}),
    ("MatMul", ["latent", f32(3, 5)], {}),
    ("MatMul", ["image", f32(6, 5)], {}),
    ("MatMul", ["image", f32(2, 6, 5)], {}),
    ("Gemm", ["latent", f32(3, 5)], {}),
    ("Gemm", ["latent", f32(5, 3), f32(5)], {"transB": 1, "alpha": 0.5}),
    ("Gemm", [f32(3, 2), f32(3, 5)], {"transA": 1}),
    ("Gather", [f32(7, 5), "label"], {}),
    ("Gather", ["latent", i64(2, 0)], {"axis": 1}),
    ("Gather", ["image", np.array(1)], {"axis": -3}),
    ("Gather", ["latent", np.array([[0, 1], [1, 2]])], {"axis": -1}),
    ("GatherElements", [f32(5, 3), i64(0, 1, 2)[None, :].repeat(5, axis=0)], {"axis": 1}),
    ("GatherND", [f32(5, 3), np.array([[0], [4]])], {}),
    ("GatherND", [f32(5, 3, 2), np.array([[0, 1], [4, 2]])], {}),
    ("Concat", ["latent", "latent"], {"axis": 1}),
    ("Concat", ["image", "image", "image"], {"axis": -2}),
    ("Reshape", ["image", i64(-1, 48)], {}),
    ("Reshape", ["image", i64(0, -1, 6)], {}),
    ("Reshape", ["image", i64(0, 0, 24)], {}),
    ("Reshape", ["latent", i64(-1, 1, 3)], {}),
    ("Reshape", [f32(4, 6), i64(3, -1)], {}),
    ("Reshape", [f32(4, 6), i64(2, 12)], {}),
    ("Expand", ["latent", i64(1, 3)], {}),
    ("Expand", [f32(1, 3), i64(4, 1, 1)], {}),
    ("Transpose", ["image"], {"perm": [0, 2, 3, 1]}),
    ("Transpose", [f32(2, 3, 4)], {}),
    ("Slice", ["image", i64(1), i64(3), i64(2)], {}),
    ("Slice", ["image", i64(-3, 0), i64(2**63 - 1, -1), i64(3, 1), i64(2, 1)], {}),
    ("Slice", [f32(5, 5), i64(1, 0), i64(4, 9)], {}),
    ("Unsqueeze", ["label", i64(1)], {}),
    ("Unsqueeze", ["latent", i64(-1, 1)], {}),
    ("Squeeze", [f32(1, 3, 1), i64(-1, 0)], {}),
    ("Flatten", ["image"], {}),
    ("Flatten", ["label"], {"axis": 1}),
    ("Flatten", [f32(2, 3, 4)], {"axis": -1}),
    ("Flatten", [f32(2, 3, 4)], {"axis": 0}),
    ("ReduceSum", ["image", i64(1, -1)], {"keepdims": 0}),
    ("ReduceSum", ["image", i64(3)], {}),
    ("ReduceMean", ["image"], {"axes": [2, 3]}),
    ("ReduceMax", ["latent"], {"axes": [-1], "keepdims": 0}),
    ("ArgMax", ["latent"], {"axis": 1, "keepdims": 0}),
    ("ArgMax", ["image"], {"axis": -1}),
    ("Constant", [], {"value_floats": [1.0, 2.0]}),
    ("Constant", [], {"value_int": 3}),
    ("Constant", [], {"value": numpy_helper.from_array(f32(2, 2))}),
    ("ConstantOfShape", [i64(2, 5)], {}),
    ("ConstantOfShape", [i64(2)], {"value": numpy_helper.from_array(i64(7))}),
    ("Conv", ["image", f32(5, 2, 3, 3)], {}),
    ("Conv", ["image", f32(4, 1, 2, 3), f32(4)], {"group": 2, "pads": [1, 0, 2, 3], "strides": [2, 1]}),
    ("Conv", ["image", f32(5, 2, 2, 2)], {"dilations": [3, 2], "kernel_shape": [2, 2]}),
    ("ConvTranspose", ["image", f32(2, 5, 4, 4)], {"strides": [2, 2], "pads": [1, 1, 1, 1]}),
    ("ConvTranspose", ["image", f32(2, 3, 3, 3), f32(6)], {"group": 2, "strides": [2, 3], "output_padding": [1, 2]}),
    ("ConvTranspose", ["image", f32(2, 3, 3, 3)], {"dilations": [2, 1]}),
    ("Resize", ["image", "", np.float32([1, 1, 2, 1.5])], {"mode": "nearest"}),
    ("Resize", ["image", "", np.float32([1, 1, 0.5, 0.5])], {"mode": "linear"}),
    ("InstanceNormalization", ["image", f32(2), f32(2)], {"epsilon": 1e-5}),
]  # fmt: skip


def made(operator, operands, settings):
    """Gives a graph that ends with the call, and the name of its result."""
    nodes = [
        helper.make_node("Constant", [], ["wide"], value=numpy_helper.from_array(f32(3, 48))),
        helper.make_node("MatMul", ["latent", "wide"], ["flat"]),
        helper.make_node("Constant", [], ["size"], value_ints=[-1, 2, 4, 6]),
        helper.make_node("Reshape", ["flat", "size"], ["image"]),
        helper.make_node("Constant", [], ["zero"], value_float=0.0),
        helper.make_node("Greater", ["latent", "zero"], ["truth"]),
    ]
    names, constants = [], []
    for at, operand in enumerate(operands):
        names.append(operand if isinstance(operand, str) else f"k{at}")
        if not isinstance(operand, str):
            constants.append(numpy_helper.from_array(np.asarray(operand), f"k{at}"))
    nodes.append(helper.make_node(operator, names, ["result"], **settings))
    inputs = [helper.make_tensor_value_info("latent", 1, ["N", 3]), helper.make_tensor_value_info("label", 7, ["N"])]
    return helper.make_graph(nodes, "g", inputs, [helper.make_tensor_value_info("result", 1, None)], constants)


def onnx_says(graph, patients):
    opset = [helper.make_opsetid("", 17)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=9)
    model.graph.output[0].type.Clear()
    for value in model.graph.input:
        value.type.tensor_type.shape.dim[0].dim_value = patients
    found = onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
    tensor = found.graph.output[0].type.tensor_type
    return tensor.elem_type, tuple(dim.dim_value for dim in tensor.shape.dim)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case[0])
@pytest.mark.parametrize("patients", [1, 2, 257])
def test_shapes_are_those_that_onnx_infers(case, patients):
    graph = made(*case)
    value = infer(graph, latent=3)["result"]
    ours = value.kind, tuple(patients if size == PATIENTS else size for size in value.shape)
    assert ours == onnx_says(graph, patients)


def test_every_operator_has_a_case():
    assert {case[0] for case in CASES} == set(RULES)


REFUSED = [
    ("Add", ["latent", i64(1, 2, 3)], {}, "different data types"),
    ("Add", ["latent", f32(4)], {}, "do not fit together: .N, 3. and .4."),
    ("Add", ["label", f32(5, 1)], {}, "different data types"),
    ("Add", ["label", i64(1, 2)], {}, "do not fit"),
    ("Div", ["label", i64(4)], {}, "wrong data type"),
    ("Div", ["latent", i64(4)], {}, "wrong data type"),
    ("Pow", ["label", i64(4)], {}, "wrong data type"),
    ("Sigmoid", ["label"], {}, "wrong data type"),
    ("Where", ["latent", "latent", "latent"], {}, "wrong data type"),
    ("Cast", ["latent"], {"to": 8}, "data type that is not allowed"),
    ("Clip", ["latent", f32(3)], {}, "no single number"),
    ("Softmax", ["latent"], {"axis": 0}, "mixes patients"),
    ("MatMul", ["latent", f32(4, 5)], {}, "do not fit"),
    ("MatMul", ["latent", f32(3)], {}, "do not fit"),
    ("Gemm", ["latent", f32(3, 5)], {"transA": 1}, "do not fit"),
    ("Gemm", ["latent", f32(3, 5), f32(6)], {}, "do not fit"),
    ("Gather", ["latent", i64(0)], {}, "mixes patients"),
    ("Gather", ["latent", i64(0)], {"axis": 2}, "axis 2 of 2"),
    ("Gather", ["latent", "label"], {"axis": 1}, "not the patients"),
    ("GatherElements", ["latent", np.array([[0, 1, 2]])], {"axis": 0}, "do not fit"),
    ("GatherND", ["latent", np.array([[0]])], {}, "mixes patients"),
    ("GatherND", [f32(2, 2), np.array([[0, 0, 0]])], {}, "do not fit"),
    ("Concat", ["latent", "latent"], {"axis": 0}, "mixes patients"),
    ("Concat", ["latent", "image"], {"axis": 1}, "do not fit"),
    ("Reshape", ["image", i64(-1, 47)], {}, "row for each patient"),
    ("Reshape", ["image", i64(-1, 24)], {}, "row for each patient"),
    ("Reshape", ["image", i64(48, -1)], {}, "not the patients"),
    ("Reshape", ["image", i64(0, 0, 0, 0, 0)], {}, "not there"),
    ("Reshape", ["image", i64(-1, -1)], {}, "malformed"),
    ("Reshape", ["image", i64(-1, 0)], {"allowzero": 1}, "malformed"),
    ("Reshape", [f32(4), i64(5)], {}, "number of entries"),
    ("Expand", ["latent", i64(5, 3)], {}, "do not fit"),
    ("Expand", ["latent", i64(0, 3)], {}, "malformed"),
    ("Transpose", ["image"], {}, "not the patients"),
    ("Transpose", ["image"], {"perm": [0, 1, 1, 2]}, "axis twice"),
    ("Transpose", ["image"], {"perm": [0, 1]}, "malformed perm"),
    ("Slice", ["latent", i64(0), i64(1), i64(0)], {}, "mixes patients"),
    ("Slice", ["latent", i64(3), i64(0), i64(1), i64(-1)], {}, "malformed positions"),
    ("Slice", ["latent", i64(3), i64(3), i64(1)], {}, "impossible shape"),
    ("Slice", ["latent", "label", i64(1), i64(1)], {}, "computes its shape"),
    ("Squeeze", ["latent", i64(1)], {}, "longer than 1"),
    ("Squeeze", ["latent", i64(0)], {}, "longer than 1"),
    ("Unsqueeze", ["latent", i64(0)], {}, "not the patients"),
    ("Flatten", ["image"], {"axis": 2}, "row for each patient"),
    ("ReduceSum", ["latent"], {}, "which axes"),
    ("ReduceMean", ["latent"], {"axes": [0]}, "mixes patients"),
    ("ArgMax", ["latent"], {}, "mixes patients"),
    ("ArgMax", ["latent"], {"axis": 1, "keepdims": 7}, "neither 0 nor 1"),
    ("Constant", [], {}, "not exactly one value"),
    ("Conv", ["image", f32(5, 3, 3, 3)], {}, "channels"),
    ("Conv", ["image", f32(5, 2, 9, 9)], {}, "larger than its image"),
    ("Conv", ["image", f32(5, 2, 3, 3)], {"strides": [0, 1]}, "strides"),
    ("Conv", ["image", f32(5, 2, 3, 3)], {"auto_pad": "SAME_UPPER"}, "auto_pad"),
    ("Conv", ["image", f32(5, 2, 3, 3)], {"kernel_shape": [9, 9]}, "kernel_shape"),
    ("Conv", ["image", f32(5, 2, 3, 3), f32(4)], {}, "bias"),
    ("Conv", ["image", "image"], {}, "no constant"),
    ("ConvTranspose", ["image", f32(2, 5, 3, 3)], {"output_padding": [5, 5]}, "output_padding"),
    ("ConvTranspose", ["image", f32(2, 5, 1, 1)], {"pads": [9, 9, 9, 9]}, "nothing left"),
    ("Resize", ["image", "", np.float32([2, 1, 1, 1])], {}, "mixes patients"),
    ("Resize", ["image", "", np.float32([1, 1, 100, 1])], {}, "beyond 64"),
    ("Resize", ["image", "", np.float32([1, 1, np.nan, 1])], {}, "beyond 64"),
    ("Resize", ["image", "", np.float32([1, 1])], {}, "one for each axis"),
    ("Resize", ["image", "", np.float32([1, 1, 2, 2])], {"mode": "magic"}, "mode that is not allowed"),
    ("InstanceNormalization", ["image", f32(3), f32(3)], {}, "do not fit"),
]  # fmt: skip


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: f"{case[0]}: {case[3]}")
def test_what_does_not_fit_is_refused(case):
    operator, operands, settings, phrase = case
    with pytest.raises(NetworkError, match=phrase):
        infer(made(operator, operands, settings), latent=3)


def test_image_generator_passes():
    """A small convolutional generator, as a family of images would make it."""
    graph = Graph(latent=8)
    table = graph.add("Gather", graph.floats(np.ones((3, 8))), "label", axis=0)
    dense = graph.add("MatMul", graph.add("Mul", "latent", table), graph.floats(np.ones((8, 4 * 7 * 7))))
    image = graph.add("Reshape", dense, graph.whole([-1, 4, 7, 7]))
    large = graph.add("Resize", image, "", graph.floats([1, 1, 2, 2]), mode="nearest")
    convolved = graph.add("Conv", large, graph.floats(np.ones((4, 4, 3, 3))), pads=[1, 1, 1, 1])
    soft = graph.add("LeakyRelu", convolved, alpha=0.2)
    normal = graph.add("InstanceNormalization", soft, graph.floats(np.ones(4)), graph.floats(np.zeros(4)))
    whole = graph.add("ConvTranspose", normal, graph.floats(np.ones((4, 1, 4, 4))), strides=[2, 2], pads=[1, 1, 1, 1])
    network = graph.finish(graph.add("Sigmoid", graph.add("Flatten", whole, axis=1)), variables=28 * 28)
    check_network(network, latent=8, variables=28 * 28, classes=3)


def test_network_of_the_kit_runs_as_it_was_judged():
    assert kit.fit().generator.draw(5, seed=1).wide().shape[0] == 5


# Multiplications for one patient, counted by hand: output numbers x numbers behind each of them.
WORK = [
    ("MatMul", ["latent", f32(3, 5)], {}, 5 * 3),
    ("MatMul", ["image", f32(6, 5)], {}, 2 * 4 * 5 * 6),
    ("MatMul", ["image", f32(2, 6, 5)], {}, 2 * 4 * 5 * 6),
    ("MatMul", [f32(7, 4), "image"], {}, 2 * 7 * 6 * 4),
    ("MatMul", [f32(7, 4), f32(4, 9)], {}, 7 * 9 * 4),
    ("Gemm", ["latent", f32(5, 3), f32(5)], {"transB": 1}, 5 * 3),
    ("Gemm", [f32(3, 2), f32(3, 5)], {"transA": 1}, 2 * 5 * 3),
    ("Conv", ["image", f32(5, 2, 3, 3)], {}, 5 * 2 * 4 * 2 * 3 * 3),
    ("Conv", ["image", f32(4, 1, 2, 3), f32(4)], {"group": 2, "pads": [1, 0, 2, 3], "strides": [2, 1]}, 4 * 3 * 7 * 6),
    ("ConvTranspose", ["image", f32(2, 5, 4, 4)], {"strides": [2, 2], "pads": [1, 1, 1, 1]}, 48 * 5 * 4 * 4),
    ("Add", ["latent", f32(3)], {}, 2 * 3),
    ("Max", ["latent"] * 9, {}, 9 * 3),
    ("ReduceMean", ["image"], {"axes": [2, 3]}, 48),
    ("Gather", [f32(70_000, 5), "label"], {}, 2 * 5),
    ("Constant", [], {"value_floats": [1.0, 2.0]}, 2),
]  # fmt: skip


@pytest.mark.parametrize("case", WORK, ids=lambda case: case[0])
def test_work_is_counted(case):
    operator, operands, settings, expected = case
    graph = made(operator, operands, settings)
    values = infer(graph, latent=3)
    node = graph.node[-1]
    assert work(operator, [values[name] for name in node.input], values["result"]) == expected
