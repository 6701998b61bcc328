/** What a parity check found, as text. */
import { isParity, type Finding, type ParityResult } from './parity.js';

export function parityTable(result: ParityResult): string {
  const { predictions, policy, asked, notHashed, inputsNotRecorded } = result;
  const rows: readonly (readonly [string, number, string])[] = [
    ['equal', result.equal, answered(policy, asked)],
    ['observation differs', result.observationDiffers, counted(result.differingInputs)],
    ['answer differs', result.answerDiffers, ''],
    ['inputs missing in the bag', result.inputsMissing, counted(result.missingInputs)],
  ];
  const lines = ['', `  ${predictions} predictions on ${result.chunks}`];
  for (const [name, n, more] of rows)
    lines.push(`  ${name.padEnd(26)} ${String(n).padStart(7)}${more === '' ? '' : `   ${more}`}`);
  if (inputsNotRecorded > 0)
    lines.push(`  ${inputsNotRecorded} do not say what they were made of: not compared`);
  if (notHashed > 0)
    lines.push(`  ${notHashed} carry no hash of their observation: only answers were compared`);
  lines.push(...listed('differences', result.differences), ...listed('missing', result.missing));
  lines.push(...result.warnings.map((warning) => `  warning: ${warning}`));
  lines.push('', `  parity: ${isParity(result) ? 'yes' : 'no'}`);
  return lines.join('\n');
}

function answered(policy: string | null, asked: number): string {
  return policy === null
    ? 'observations only: no model was asked'
    : `${asked} answers of ${policy}`;
}

function listed(title: string, findings: readonly Finding[]): string[] {
  if (findings.length === 0) return [];
  return ['', `  ${title}, the first:`, ...findings.map((f) => `    ${f.stampNs} ns  ${f.what}`)];
}

function counted(counts: Readonly<Record<string, number>>): string {
  return Object.entries(counts)
    .map(([name, n]) => `${name} ×${n}`)
    .join(', ');
}
