/**
 * ONNX files from and to graphs. Protobuf ends here: nothing outside `src/ir` sees a message.
 *
 * onnx.proto comes from the onnx package 1.23.2; onnx-pb.ts is generated from it (and then renamed from onnx_pb.ts):
 *
 *     npx -p @bufbuild/buf@1.75.0 -p @bufbuild/protoc-gen-es@2.12.0 buf generate src/ir \
 *       --template '{"version":"v2","plugins":[{"local":"protoc-gen-es","out":"src/ir","opt":["target=ts"]}]}'
 */
export { decodeModel } from "./onnx-decode.js";
export { encodeModel } from "./onnx-encode.js";
