/** The protobuf wire format, as much of it as ONNX files need. developers.google.com/protocol-buffers/docs/encoding */

const wire = { varint: 0, lengthDelimited: 2, fixed32: 5 } as const;

/** A message under construction: fields are appended in call order. Byte arrays are borrowed until `bytes()`. */
export class Message {
  readonly #parts: Uint8Array[] = [];
  #length = 0;

  /** int32, int64, enum or bool field; negative numbers take 10 bytes, as the format says. */
  integer(field: number, value: number | bigint): this {
    return this.#tag(field, wire.varint).#append(varint(value));
  }

  float(field: number, value: number): this {
    const data = new Uint8Array(4);
    new DataView(data.buffer).setFloat32(0, value, true);
    return this.#tag(field, wire.fixed32).#append(data);
  }

  data(field: number, value: Uint8Array): this {
    return this.#tag(field, wire.lengthDelimited).#append(varint(value.length)).#append(value);
  }

  text(field: number, value: string): this {
    return this.data(field, new TextEncoder().encode(value));
  }

  message(field: number, value: Message): this {
    this.#tag(field, wire.lengthDelimited).#append(varint(value.#length));
    for (const part of value.#parts) this.#append(part);
    return this;
  }

  packedIntegers(field: number, values: readonly number[]): this {
    const packed = new Message();
    for (const value of values) packed.#append(varint(value));
    return this.message(field, packed);
  }

  bytes(): Uint8Array {
    const out = new Uint8Array(this.#length);
    let offset = 0;
    for (const part of this.#parts) {
      out.set(part, offset);
      offset += part.length;
    }
    return out;
  }

  #tag(field: number, type: number): this {
    return this.#append(varint(field * 8 + type));
  }

  #append(part: Uint8Array): this {
    this.#parts.push(part);
    this.#length += part.length;
    return this;
  }
}

/** Base-128, least significant group first; negative numbers as 64-bit two's complement. */
function varint(value: number | bigint): Uint8Array {
  let rest = BigInt.asUintN(64, BigInt(value));
  const groups: number[] = [];
  while (rest > 127n) {
    groups.push(Number(rest & 127n) | 128);
    rest >>= 7n;
  }
  groups.push(Number(rest));
  return Uint8Array.from(groups);
}
