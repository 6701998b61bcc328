/**
 * ONNX files written by hand: graphs in memory, weights in an external data file beside them (external.ts).
 * Field numbers are those of onnx.proto (github.com/onnx/onnx, IR version 10).
 */
import { Message } from './protobuf.js';

/** The name of a tensor inside a graph. */
export type Value = string;
/** A fixed size, or the name of a size that is known at run time. */
export type Dimension = number | string;

/** TensorProto.DataType */
export const elementTypes = {
  float32: 1,
  uint8: 2,
  int32: 6,
  int64: 7,
  bool: 9,
  float16: 10,
  bfloat16: 16,
} as const;
export type ElementType = keyof typeof elementTypes;

export type Attribute =
  | { readonly int: number }
  | { readonly ints: readonly number[] }
  | { readonly float: number }
  | { readonly text: string }
  | { readonly graph: Graph };

/** A weight that lies in an external data file. Several graphs may use the same one. */
export interface StoredTensor {
  readonly name: string;
  readonly type: ElementType;
  readonly shape: readonly number[];
  readonly file: string;
  readonly offset: number;
  readonly bytes: number;
}

/** A graph under construction. A subgraph sees the values of the graphs around it. */
export class Graph {
  readonly #name: string;
  readonly #root: Graph;
  readonly #nodes: Message[] = [];
  readonly #initializers = new Map<Value, Message>();
  /** Weights in another type, by their names. */
  readonly #casts = new Map<Value, Value>();
  readonly #inputs: Message[] = [];
  readonly #outputs: Message[] = [];
  #names = 0;

  constructor(name: string, parent?: Graph) {
    this.#name = name;
    this.#root = parent ? parent.#root : this;
  }

  input(name: Value, type: ElementType, shape: readonly Dimension[]): Value {
    this.#inputs.push(valueInfo(name, type, shape));
    return name;
  }

  output(name: Value, type: ElementType, shape: readonly Dimension[]): void {
    this.#outputs.push(valueInfo(name, type, shape));
  }

  /**
   * Weights belong to the root, so that a loop body and the graph around it share them.
   * @param as element type they are wanted in; their own without it.
   */
  weight(stored: StoredTensor, as: ElementType = stored.type): Value {
    const { name, type, shape, file, offset, bytes } = stored;
    const entry = (key: string, value: string) => new Message().text(1, key).text(2, value);
    const tensor = tensorHeader(name, type, shape)
      .message(13, entry('location', file))
      .message(13, entry('offset', String(offset)))
      .message(13, entry('length', String(bytes)))
      .integer(14, 1);
    this.#root.#initializers.set(name, tensor);
    return as === type ? name : this.#root.#castWeight(name, as);
  }

  /** Once, before whatever node of the root is under construction. */
  #castWeight(name: Value, to: ElementType): Value {
    const known = this.#casts.get(name);
    if (known !== undefined) return known;
    const output = this.newName('weight');
    this.node({ domain: '', name: 'Cast' }, [name], [output], { to: { int: elementTypes[to] } });
    this.#casts.set(name, output);
    return output;
  }

  /** A small constant kept inside the file. An empty shape is a scalar. */
  constant(type: ElementType, shape: readonly number[], values: readonly number[]): Value {
    const name = this.newName('constant');
    this.#initializers.set(name, tensorHeader(name, type, shape).data(9, pack(type, values)));
    return name;
  }

  /** Appends a node; absent optional inputs are ''. Returns its output names. */
  node(
    operator: { readonly domain: string; readonly name: string },
    inputs: readonly Value[],
    outputs: readonly Value[],
    attributes: Readonly<Record<string, Attribute>> = {},
  ): void {
    const node = new Message();
    for (const input of inputs) node.text(1, input);
    for (const output of outputs) node.text(2, output);
    node.text(3, this.newName(`node_${operator.name}`)).text(4, operator.name);
    for (const [key, value] of Object.entries(attributes)) node.message(5, attribute(key, value));
    if (operator.domain !== '') node.text(7, operator.domain);
    this.#nodes.push(node);
  }

  /** A name no other value of the file has. */
  newName(stem: string): Value {
    return `${stem}_${this.#root.#names++}`;
  }

  /** GraphProto */
  message(): Message {
    const graph = new Message();
    for (const node of this.#nodes) graph.message(1, node);
    graph.text(2, this.#name);
    for (const tensor of this.#initializers.values()) graph.message(5, tensor);
    for (const info of this.#inputs) graph.message(11, info);
    for (const info of this.#outputs) graph.message(12, info);
    return graph;
  }
}

/** ModelProto: IR version 10, opset 21, and the contrib operators of ONNX Runtime. */
export function modelBytes(graph: Graph): Uint8Array {
  const opset = (domain: string, version: number) =>
    new Message().text(1, domain).integer(2, version);
  return new Message()
    .integer(1, 10)
    .text(2, 'magma_vla')
    .message(7, graph.message())
    .message(8, opset('', 21))
    .message(8, opset('com.microsoft', 1))
    .bytes();
}

/** TensorProto without its data. */
function tensorHeader(name: string, type: ElementType, shape: readonly number[]): Message {
  const tensor = new Message();
  if (shape.length > 0) tensor.packedIntegers(1, shape);
  return tensor.integer(2, elementTypes[type]).text(8, name);
}

/** ValueInfoProto */
function valueInfo(name: string, type: ElementType, dimensions: readonly Dimension[]): Message {
  const shape = new Message();
  for (const size of dimensions) {
    const dimension = new Message();
    shape.message(
      1,
      typeof size === 'string' ? dimension.text(2, size) : dimension.integer(1, size),
    );
  }
  const tensor = new Message().integer(1, elementTypes[type]).message(2, shape);
  return new Message().text(1, name).message(2, new Message().message(1, tensor));
}

/** AttributeProto; field 20 is the kind of value. */
function attribute(name: string, value: Attribute): Message {
  const message = new Message().text(1, name);
  if ('float' in value) return message.float(2, value.float).integer(20, 1);
  if ('int' in value) return message.integer(3, value.int).integer(20, 2);
  if ('text' in value) return message.text(4, value.text).integer(20, 3);
  if ('graph' in value) return message.message(6, value.graph.message()).integer(20, 5);
  for (const entry of value.ints) message.integer(8, entry);
  return message.integer(20, 7);
}

function pack(type: ElementType, values: readonly number[]): Uint8Array {
  switch (type) {
    case 'float16':
    case 'bfloat16':
      throw new TypeError(`a constant of ${type}: cast one of float32 instead`);
    case 'float32':
      return new Uint8Array(Float32Array.from(values).buffer);
    case 'int32':
      return new Uint8Array(Int32Array.from(values).buffer);
    case 'int64':
      return new Uint8Array(BigInt64Array.from(values, BigInt).buffer);
    case 'uint8':
    case 'bool':
      return Uint8Array.from(values);
  }
}
