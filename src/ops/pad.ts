import { addDims } from "../ir/dim.js";
import { defineOp } from "./op.js";

/** Zeros in front of and behind every axis. Spec: https://onnx.ai/onnx/operators/onnx__Pad.html (opset 21), constant mode. */
export const pad = defineOp({
  type: "Pad",
  infer({ inputs: [x, pads, value], attrs, name }) {
    const { dtype, shape } = x!.type;
    const lengths = pads!.type.contents;
    if (!lengths) throw new Error(`${name}: the padding is not known before the graph runs.`);
    if (attrs.string("mode", "constant") !== "constant" || value)
      throw new Error(`${name}: only padding with zeros is supported.`);
    if (lengths.length !== 2 * shape.length || lengths.some((n) => typeof n !== "number" || n < 0))
      throw new Error(`${name}: ${2 * shape.length} lengths of 0 or more expected, found [${lengths.join(", ")}].`);
    return [{ dtype, shape: shape.map((d, i) => addDims(d, addDims(lengths[i]!, lengths[i + shape.length]!))) }];
  },
  // dx = dy without what was added.
  vjp(g, { inputs: [x, pads] }, [dy]) {
    const { shape } = x!.type;
    const [before, after] = [pads!.type.contents!.slice(0, shape.length), pads!.type.contents!.slice(shape.length)];
    const inner = shape.reduce<typeof dy>((part, _, i) => {
      const [start, end] = [Number(before[i]), Number(after[i])];
      return start === 0 && end === 0 ? part : g.slice(part!, i, start, end === 0 ? Number.MAX_SAFE_INTEGER : -end);
    }, dy);
    return [inner];
  },
});
