/** Every command: a new one is a file beside this and a line here. */
import type { Command } from "../command.js";
import { chat } from "./chat.js";
import { compare } from "./compare.js";
import { demo } from "./demo.js";
import { devices } from "./devices.js";
import { evalCommand } from "./eval.js";
import { exportAdapter } from "./export-adapter.js";
import { fit, train } from "./fit.js";
import { generate } from "./generate.js";
import { inspect } from "./inspect.js";
import { merge } from "./merge.js";
import { predict } from "./predict.js";
import { resume } from "./resume.js";
import { run } from "./run.js";
import { search } from "./search.js";
import { tokenize } from "./tokenize.js";

export const commands: readonly Command[] = [
  fit,
  train,
  search,
  resume,
  merge,
  exportAdapter,
  evalCommand,
  predict,
  generate,
  chat,
  devices,
  inspect,
  tokenize,
  run,
  compare,
  demo,
];
