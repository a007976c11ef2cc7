/** What a device needs before ONNX Runtime is loaded. */
import type { Device } from "../runtime.js";
import type { Library } from "./protocol.js";

export const libraryOf = (device: Device): Library => (device === "wasm" ? "onnxruntime-web" : "onnxruntime-node");

/**
 * Variables of the environment that a device runs with. NVIDIA's libraries round the factors of float32 products to 10 bits
 * ("TF32") unless they are told not to, and ONNX Runtime's own option for it cannot be set from Node.js.
 * @see https://docs.nvidia.com/cuda/cublas/#tf32-override
 */
export const environmentFor = (device: Device): Readonly<Record<string, string>> =>
  device === "cuda" ? { NVIDIA_TF32_OVERRIDE: "0" } : {};
