/** MMLU (Hendrycks et al., 2021): 57 subjects of school, study and profession. */
import { textOf, textsOf, wholeOf } from "./fields.js";
import { lettered } from "./lettered.js";
import { strip } from "./python-text.js";
import type { BenchmarkTask, TaskGroup } from "./task.js";

const SUBJECTS = {
  stem: [
    "abstract_algebra",
    "anatomy",
    "astronomy",
    "college_biology",
    "college_chemistry",
    "college_computer_science",
    "college_mathematics",
    "college_physics",
    "computer_security",
    "conceptual_physics",
    "electrical_engineering",
    "elementary_mathematics",
    "high_school_biology",
    "high_school_chemistry",
    "high_school_computer_science",
    "high_school_mathematics",
    "high_school_physics",
    "high_school_statistics",
    "machine_learning",
  ],
  other: [
    "business_ethics",
    "clinical_knowledge",
    "college_medicine",
    "global_facts",
    "human_aging",
    "management",
    "marketing",
    "medical_genetics",
    "miscellaneous",
    "nutrition",
    "professional_accounting",
    "professional_medicine",
    "virology",
  ],
  social_sciences: [
    "econometrics",
    "high_school_geography",
    "high_school_government_and_politics",
    "high_school_macroeconomics",
    "high_school_microeconomics",
    "high_school_psychology",
    "human_sexuality",
    "professional_psychology",
    "public_relations",
    "security_studies",
    "sociology",
    "us_foreign_policy",
  ],
  humanities: [
    "formal_logic",
    "high_school_european_history",
    "high_school_us_history",
    "high_school_world_history",
    "international_law",
    "jurisprudence",
    "logical_fallacies",
    "moral_disputes",
    "moral_scenarios",
    "philosophy",
    "prehistory",
    "professional_law",
    "world_religions",
  ],
} as const;

const subjectTask = (subject: string): BenchmarkTask => ({
  name: `mmlu_${subject}`,
  alias: subject,
  dataset: { path: "cais/mmlu", name: subject },
  splits: { test: "test", shots: "dev" },
  version: 1,
  metrics: ["acc"],
  description: `The following are multiple choice questions (with answers) about ${subject.replaceAll("_", " ")}.\n\n`,
  firstShots: true,
  question(doc) {
    const { prompt, letters } = lettered(strip(textOf(doc, "question")), textsOf(doc, "choices", 4));
    const gold = wholeOf(doc, "answer");
    return { prompts: [prompt], answers: letters, gold, target: `${gold}` };
  },
});

const VERSION = "2";

export const mmluTasks: readonly BenchmarkTask[] = Object.values(SUBJECTS).flat().map(subjectTask);

/** The whole, and its four parts. */
export const mmluGroups: readonly TaskGroup[] = [
  { name: "mmlu", alias: "mmlu", members: Object.keys(SUBJECTS).map((part) => `mmlu_${part}`), version: VERSION },
  ...Object.entries(SUBJECTS).map(([part, subjects]) => ({
    name: `mmlu_${part}`,
    alias: part.replaceAll("_", " "),
    members: subjects.map((subject) => `mmlu_${subject}`),
    version: VERSION,
  })),
];
