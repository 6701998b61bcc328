/** What a check found: one sentence per thing looked at, as it is told and as it is summed up. */

/** `note`: worth knowing, no fault. `skipped`: not looked at, with the reason. */
export type CheckOutcome = 'ok' | 'note' | 'failed' | 'skipped';

export interface CheckFinding {
  /** Which part of the check: files, inputs, controllers, kinematics, hold, jog, gripper, end. */
  readonly step: string;
  readonly what: string;
  readonly outcome: CheckOutcome;
  readonly sentence: string;
  /** What was measured; mm and degrees where the name says so, otherwise SI. */
  readonly values?: Readonly<Record<string, number | string | null>>;
}

export interface CheckResult {
  readonly passed: boolean;
  readonly counts: Readonly<Record<CheckOutcome, number>>;
  readonly findings: readonly CheckFinding[];
}

const marks: Readonly<Record<CheckOutcome, string>> = {
  ok: 'ok     ',
  note: 'note   ',
  failed: 'FAILED ',
  skipped: 'skipped',
};

/** Collects findings, and tells each as it comes. */
export class CheckReport {
  readonly #findings: CheckFinding[] = [];
  readonly #say: (line: string) => void;

  constructor(say: (line: string) => void) {
    this.#say = say;
  }

  add(finding: CheckFinding): void {
    this.#findings.push(finding);
    this.#say(`  ${marks[finding.outcome]}  ${finding.what}: ${finding.sentence}`);
  }

  /** Adds several, and returns whether none of them failed. */
  addAll(findings: readonly CheckFinding[]): boolean {
    findings.forEach((finding) => this.add(finding));
    return findings.every(({ outcome }) => outcome !== 'failed');
  }

  /** Steps of which nothing was found are told as skipped. */
  skipRest(steps: readonly string[]): void {
    for (const step of steps)
      if (!this.#findings.some((finding) => finding.step === step))
        this.add({ step, what: step, outcome: 'skipped', sentence: 'not got to, or not finished' });
  }

  result(): CheckResult {
    const count = (outcome: CheckOutcome): number =>
      this.#findings.filter((finding) => finding.outcome === outcome).length;
    const failed = count('failed');
    return {
      passed: failed === 0,
      counts: { ok: count('ok'), note: count('note'), failed, skipped: count('skipped') },
      findings: [...this.#findings],
    };
  }
}

/** One line per step with its counts, the failures in full, and the verdict. */
export function checkTable({ passed, counts, findings }: CheckResult): string {
  const steps = [...new Set(findings.map(({ step }) => step))];
  const row = (step: string): string => {
    const of = (outcome: CheckOutcome): string =>
      String(
        findings.filter((finding) => finding.step === step && finding.outcome === outcome).length,
      ).padStart(9);
    return `  ${step.padEnd(12)}${of('ok')}${of('note')}${of('failed')}${of('skipped')}`;
  };
  const failures = findings.filter(({ outcome }) => outcome === 'failed');
  return [
    '',
    `  ${'step'.padEnd(12)}${['ok', 'note', 'failed', 'skipped'].map((name) => name.padStart(9)).join('')}`,
    ...steps.map(row),
    '',
    ...failures.map(({ step, what, sentence }) => `  FAILED ${step}, ${what}: ${sentence}`),
    passed
      ? `  passed${counts.skipped > 0 ? `, with ${counts.skipped} skipped` : ''}`
      : `  not passed: ${counts.failed} failed`,
  ].join('\n');
}
