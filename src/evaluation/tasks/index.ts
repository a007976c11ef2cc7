/** The benchmark tasks and groups, by name. A new task is a file beside this one and a line here. */
import { GloraError } from "../../base/errors.js";
import { arcChallenge, arcEasy } from "./arc.js";
import { commonsenseQa } from "./commonsense-qa.js";
import { hellaswag } from "./hellaswag.js";
import { mmluGroups, mmluTasks } from "./mmlu.js";
import { openbookqa } from "./openbookqa.js";
import { piqa } from "./piqa.js";
import type { BenchmarkTask, TaskGroup } from "./task.js";
import { truthfulqaMc1, truthfulqaMc2 } from "./truthfulqa.js";
import { winogrande } from "./winogrande.js";

const single: readonly BenchmarkTask[] = [
  arcChallenge,
  arcEasy,
  hellaswag,
  truthfulqaMc1,
  truthfulqaMc2,
  winogrande,
  piqa,
  openbookqa,
  commonsenseQa,
];
const tasks = new Map([...single, ...mmluTasks].map((task) => [task.name, task]));
const groups = new Map(mmluGroups.map((group) => [group.name, group]));

/** Names that one would ask for: every task but the subjects of a group. */
export const taskNames: readonly string[] = [...single.map(({ name }) => name), "mmlu"];

export interface TaskSelection {
  readonly tasks: readonly BenchmarkTask[];
  /** The groups that were asked for, and those inside them; a group comes after its members. */
  readonly groups: readonly TaskGroup[];
}

/**
 * Tasks and groups by their names in lm-evaluation-harness; a group stands for all its tasks.
 * @throws {GloraError} USAGE if a name is not known
 */
export function selectTasks(names: readonly string[]): TaskSelection {
  const chosen = new Map<string, BenchmarkTask>();
  const chosenGroups = new Map<string, TaskGroup>();
  const choose = (name: string): void => {
    const [task, group] = [tasks.get(name), groups.get(name)];
    if (task) chosen.set(name, task);
    else if (group) {
      group.members.forEach(choose);
      chosenGroups.set(name, group);
    } else
      throw new GloraError(
        "USAGE",
        `There is no task "${name}". Known are ${taskNames.join(", ")}, the parts of mmlu (mmlu_stem, mmlu_humanities, ` +
          "mmlu_social_sciences, mmlu_other) and its subjects (mmlu_anatomy …).",
        { found: name, expected: taskNames },
      );
  };
  names.forEach(choose);
  return { tasks: [...chosen.values()], groups: [...chosenGroups.values()] };
}

/** The tasks of a group, those of its groups included. */
export const tasksOf = (group: TaskGroup): string[] =>
  group.members.flatMap((name) => {
    const inner = groups.get(name);
    return inner ? tasksOf(inner) : [name];
  });
