/** Every command: a new one is a file beside this and a line here. */
import type { Command } from "../command.js";
import { inspect } from "./inspect.js";
import { run } from "./run.js";

export const commands: readonly Command[] = [inspect, run];
