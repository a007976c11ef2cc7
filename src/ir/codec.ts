/** ONNX files from and to graphs. Protobuf ends here: nothing outside `src/ir` sees a message. */
export { decodeModel } from "./onnx-decode.js";
export { type EncodeOptions, encodeModel } from "./onnx-encode.js";
