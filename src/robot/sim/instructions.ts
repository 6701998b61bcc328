/**
 * Which sentence means which task. Every family has several forms; the first is the canonical one, the only one that the
 * core suite says. A form's words in braces are the task's fields.
 */
import { blockColours, families, padColours, sides, type Family, type Task } from './tasks.js';

const forms: Readonly<Record<Family, readonly string[]>> = {
  pick: [
    'pick the {block} block',
    'pick up the {block} block',
    'grasp the {block} block and lift it',
    'take the {block} block',
  ],
  put: [
    'put the {block} block on the {pad} pad',
    'place the {block} block on the {pad} pad',
    'move the {block} block over to the {pad} pad',
    'set the {block} block down on the {pad} pad',
  ],
  push: [
    'push the {block} block {side}',
    'push the {block} block to the {side}',
    'slide the {block} block {side}',
    'shove the {block} block to the {side}',
  ],
  stack: [
    'stack the {block} block on the {onto} block',
    'put the {block} block on top of the {onto} block',
    'place the {block} block on the {onto} one',
  ],
  sort: [
    'sort the {block} block to the {pad} pad and the {other} block to the {otherPad} pad',
    'put the {block} block on the {pad} pad and the {other} block on the {otherPad} pad',
    'the {block} block belongs on the {pad} pad, the {other} block on the {otherPad} pad',
  ],
  hold: [
    'lift the {block} block and hold it',
    'hold the {block} block up for two seconds',
    'pick up the {block} block and keep it in the air',
  ],
  reach: [
    'reach {side} of the {block} block',
    'move the gripper to the {side} of the {block} block',
    'go beside the {block} block, on its {side}',
  ],
  pushTo: [
    'push the {block} block onto the {pad} pad',
    'slide the {block} block to the {pad} pad',
    'push the {block} block until it is on the {pad} pad',
  ],
  clear: [
    'push the {block} block into open space',
    'push the {block} block away from everything',
    'give the {block} block some room',
  ],
};

const words: Readonly<Record<string, readonly string[]>> = {
  block: blockColours,
  other: blockColours,
  onto: blockColours,
  pad: padColours,
  otherPad: padColours,
  side: sides,
};

const patterns = families.flatMap((family) =>
  forms[family].map((form) => ({
    family,
    sentence: new RegExp(
      `^${form.replace(/\{(\w+)\}/g, (_, field: string) => `(?<${field}>${words[field]!.join('|')})`)}$`,
    ),
  })),
);

/** Every sentence that means this task, the canonical one first. */
export function sentencesFor(task: Task): readonly string[] {
  const fields: Readonly<Record<string, string>> = { ...task };
  return forms[task.family].map((form) =>
    form.replace(/\{(\w+)\}/g, (_, field: string) => fields[field]!),
  );
}

/** The canonical sentence. */
export function instructionFor(task: Task): string {
  return sentencesFor(task)[0]!;
}

/** Inverse of sentencesFor; null for any other sentence, and where one thing is said to be two. */
export function taskFor(instruction: string): Task | null {
  for (const { family, sentence } of patterns) {
    const match = sentence.exec(instruction);
    if (!match?.groups) continue;
    const { block, other, onto, pad, otherPad } = match.groups;
    if (block === other || block === onto || (otherPad !== undefined && pad === otherPad))
      return null;
    return { family, ...match.groups } as Task;
  }
  return null;
}
