/** WebGPU in tests: through SwiftShader, a GPU in software, which Debian's package chromium brings. */
import { existsSync } from "node:fs";

/** In place of the usual path: the ICD file of a Vulkan driver, a real one or another copy of SwiftShader. */
const driver = process.env["GLORA_VULKAN_ICD"] ?? "/usr/lib/chromium/vk_swiftshader_icd.json";

/** Why there is no WebGPU for tests; undefined where there is. The driver is set for this process and its threads. */
export const noWebgpu: string | undefined = existsSync(driver)
  ? undefined
  : `WebGPU is not tested: there is no Vulkan driver ${driver} (apt-get install chromium libvulkan1, or set GLORA_VULKAN_ICD)`;

// Read by the Vulkan loader when the first session is made; assigned in the main thread, it is the process's own.
if (noWebgpu === undefined) process.env["VK_ICD_FILENAMES"] = driver;
else process.stderr.write(`${noWebgpu}\n`);
