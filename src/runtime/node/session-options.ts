/** InferenceSession.SessionOptions of each device. */
import type { Device, OpenOptions } from "../runtime.js";
import type { SessionOptions } from "./protocol.js";
import type { PlacedWeights } from "./weight-files.node.js";

export function sessionOptions(
  device: Device,
  threads: number,
  { keepArena = false, packWeights = false }: Pick<OpenOptions, "keepArena" | "packWeights">,
  { folder, externalData }: Pick<PlacedWeights, "folder" | "externalData">,
): SessionOptions {
  return {
    executionProviders: [device],
    intraOpNumThreads: threads,
    // The graph says what shall run, and in which order; a fused or merged node would undo it. But that a weight is widened
    // once, and no more at every use, is what the basic level is for. (For WebGPU it is widened before.)
    graphOptimizationLevel: packWeights && device !== "webgpu" ? "basic" : "disabled",
    // Costs over half of the peak memory and brings no speed.
    enableMemPattern: false,
    enableCpuMemArena: keepArena,
    logSeverityLevel: 4, // an error is thrown with the same text
    ...(externalData.length > 0 && { externalData }),
    extra: {
      session: {
        // Packed copies of frozen weights, one an orientation, would cost three times their memory in training.
        disable_prepacking: packWeights ? "0" : "1",
        ...(folder !== undefined && { model_external_initializers_file_folder_path: folder }),
        // A node that the GPU cannot run is an error, not a slow copy to the CPU and back that nobody asked for. CUDA is
        // left to place the arithmetic of shapes on the CPU, as it is made to.
        ...(device === "webgpu" && { disable_cpu_ep_fallback: "1" }),
        // Threads spin just long enough for the next node (a small model's step is 17–25 % faster); spinning on, they would
        // take the cores from the next session and from other processes.
        intra_op: { allow_spinning: "1", spin_duration_us: "20" },
      },
    },
  };
}
