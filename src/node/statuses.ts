/** Facts → what `/diagnostics` says of each part. Pure. */
import { secondsFromNs } from '../control/clock.js';
import type { ConfiguredFacts, Facts, InputFacts, Recently } from './facts.js';
import type { Percentiles } from './monitor.js';

export type Level = 'ok' | 'warn' | 'error' | 'stale';

export interface PartStatus {
  readonly name: string;
  readonly level: Level;
  /** One sentence, or a few words. */
  readonly message: string;
  readonly values: Readonly<Record<string, string>>;
}

export function statusesFrom(facts: Facts, recently: Recently): PartStatus[] {
  const { configured } = facts;
  const always = [node(facts), clock(facts), callbacks(facts, recently)];
  if (!configured) return always;
  return [
    ...always,
    ...configured.inputs.map((report) => input(report, facts, recently)),
    policy(configured, facts, recently),
    control(configured, facts),
    guard(configured, facts),
    output(configured, facts),
    ...(configured.shadow ? [shadow(configured.shadow, facts, recently)] : []),
  ];
}

function node({ lifecycle, isTakenOver, isDryRun, latched }: Facts): PartStatus {
  const words = [
    lifecycle,
    ...(isTakenOver ? ['a person has taken over'] : []),
    ...(isDryRun ? ['dry run: nothing is sent'] : []),
  ];
  return {
    name: 'node',
    level: latched ? 'error' : 'ok',
    message: latched ? `stopped until ~/rearm: ${latched.message}` : words.join(', '),
    values: {
      lifecycle,
      taken_over: String(isTakenOver),
      dry_run: String(isDryRun),
      latched: latched ? `${latched.code}: ${latched.message}` : '',
    },
  };
}

function clock({ clock: problem, now }: Facts): PartStatus {
  return {
    name: 'clock',
    level: problem ? 'error' : 'ok',
    message: problem?.message ?? 'time goes on',
    values: { ros_time: secondsFromNs(now.stampNs).toFixed(3) },
  };
}

function callbacks({ failures, now }: Facts, recently: Recently): PartStatus {
  const total = sum(failures.values());
  const isRecent = recently.grew('callbacks', total, now.nowNs);
  return {
    name: 'callbacks',
    level: isRecent ? 'warn' : 'ok',
    message: total === 0 ? 'none has failed' : `${total} failed and were contained`,
    values: counted(failures),
  };
}

function input(report: InputFacts, { now, lifecycle }: Facts, recently: Recently): PartStatus {
  const { topic, lastReceivedNs, maxAge, refused, unheard, publishers, count, hz } = report;
  const { missingJoints, lastRefusal } = report;
  const age = lastReceivedNs === null ? null : secondsFromNs(now.nowNs - lastReceivedNs);
  const isRefusing = recently.grew(`refused ${topic}`, refused, now.nowNs);
  const refusals = `${refused} of ${count} messages were refused, the last: ${lastRefusal ?? ''}`;
  const judged = ((): readonly [Level, string] => {
    const missing = lifecycle === 'active' ? 'error' : 'warn';
    if (unheard.length > 0) return ['error', unheard.join('; ')];
    if (age === null) {
      const why = publishers === 0 ? 'nobody publishes it' : 'nothing usable has come yet';
      return [missing, isRefusing ? `${why}; ${refusals}` : why];
    }
    if (age > maxAge) {
      const silence = `silent for ${age.toFixed(2)} s; at most ${maxAge} s is accepted`;
      return ['stale', isRefusing ? `${silence}; ${refusals}` : silence];
    }
    if (missingJoints.length > 0) return [missing, `not reported yet: ${missingJoints.join(', ')}`];
    if (isRefusing) return ['warn', refusals];
    return ['ok', `${hz.toFixed(1)} Hz`];
  })();
  return {
    name: `input ${topic}`,
    level: judged[0],
    message: judged[1],
    values: {
      ...{ type: report.type, publishers: String(publishers), received: String(count) },
      refused: String(refused),
      last_refusal: lastRefusal ?? '',
      hz: hz.toFixed(2),
      age: age === null ? 'never' : age.toFixed(3),
      max_age: String(maxAge),
    },
  };
}

function policy(
  { policy: { facts, dropped }, control: seen, actionDeadlineMs }: ConfiguredFacts,
  { now, lifecycle }: Facts,
  recently: Recently,
): PartStatus {
  const { actionLatencyMs: latency, lastRefusal, refusals } = seen;
  // Before an instruction nothing is asked: that is no fault of the policy.
  const faults = new Map([...refusals].filter(([code]) => code !== 'noInstruction'));
  const isRefusing =
    recently.grew('refusals', sum(faults.values()), now.nowNs) && lifecycle === 'active';
  const isSlow = (latency.p99 ?? 0) > actionDeadlineMs;
  const figures = `p50 ${ms(latency.p50)}, p99 ${ms(latency.p99)}`;
  return {
    name: 'policy',
    level: isRefusing || isSlow ? 'warn' : 'ok',
    message: isRefusing
      ? `not played: ${lastRefusal?.message ?? 'unknown'}`
      : latency.count === 0
        ? 'no action within the last minute'
        : isSlow
          ? `late: ${figures}, deadline ${actionDeadlineMs} ms`
          : figures,
    values: {
      ...facts,
      ...latencyValues('latency', latency),
      actions: String(seen.actions),
      traces: String(seen.traces),
      ...counted(refusals, 'not_played/'),
      ...counted(seen.tracesDropped, 'traces_dropped/'),
      ...counted(Object.entries(dropped), 'dropped/'),
    },
  };
}

function control(
  { control: seen, controlPeriod }: ConfiguredFacts,
  { lifecycle }: Facts,
): PartStatus {
  const { tickIntervalMs: interval } = seen;
  const late = interval.max === null ? 0 : interval.max - controlPeriod * 1e3;
  // Half a period late, a tick is made up for; later, ticks are left out (control/wall.ts).
  const isMissing = late >= (controlPeriod * 1e3) / 2;
  const isRunning = lifecycle === 'active' && interval.count > 0;
  return {
    name: 'control',
    level: isRunning && isMissing ? 'warn' : 'ok',
    message: !isRunning
      ? 'not running'
      : isMissing
        ? `a tick came ${late.toFixed(1)} ms late within the last minute`
        : `every ${ms(interval.p50)}`,
    values: {
      period: ms(controlPeriod * 1e3),
      ...latencyValues('interval', interval),
      ...counted(seen.recoveries, 'recoveries/'),
    },
  };
}

function guard({ control: seen }: ConfiguredFacts, { latched, lifecycle }: Facts): PartStatus {
  const { outcome, reasons, limits, halts, lastHalt } = seen;
  const isHalted = lifecycle === 'active' && outcome === 'halt';
  const why = reasons.map(({ message }) => message).join(' ');
  return {
    name: 'guard',
    level: latched || isHalted ? 'error' : 'ok',
    message: latched
      ? `latched: ${latched.message}`
      : lifecycle !== 'active' || outcome === null
        ? 'not active'
        : `${outcome}${why === '' ? '' : `: ${why}`}`,
    values: {
      ...counted(halts, 'halts/'),
      ...counted(limits, 'limits/'),
      last_halt: lastHalt.map(({ code, message }) => `${code}: ${message}`).join(' '),
    },
  };
}

function output({ output: found, transformsRefused }: ConfiguredFacts, facts: Facts): PartStatus {
  const { target, isOpen, withheld, problem } = found;
  const idle = facts.isDryRun ? 'dry run: nothing is sent' : 'closed: nothing is sent';
  return {
    name: 'output',
    level: problem ? 'error' : 'ok',
    message:
      problem?.message ??
      (target === null ? 'robot.yaml names no command' : isOpen ? `to ${target}` : idle),
    values: {
      target: target ?? '',
      open: String(isOpen),
      withheld: String(withheld),
      transforms_refused: String(transformsRefused),
    },
  };
}

function shadow(
  compared: NonNullable<ConfiguredFacts['shadow']>,
  { now }: Facts,
  recently: Recently,
): PartStatus {
  const { translation, rotation, gripperAgreement, latencyMs, problem } = compared;
  const isFailing = recently.grew('shadow', compared.refused, now.nowNs);
  return {
    name: 'shadow',
    level: isFailing ? 'warn' : 'ok',
    message: isFailing
      ? (problem ?? 'it gave no prediction')
      : compared.compared === 0
        ? 'not compared yet'
        : `${(translation.mean * 1e3).toFixed(1)} mm and ${rotation.mean.toFixed(3)} rad apart`,
    values: {
      policy: compared.policy,
      compared: String(compared.compared),
      missed: String(compared.missed),
      refused: String(compared.refused),
      incomparable: String(compared.incomparable),
      translation_mean: translation.mean.toFixed(4),
      translation_worst: translation.worst.toFixed(4),
      rotation_mean: rotation.mean.toFixed(4),
      rotation_worst: rotation.worst.toFixed(4),
      gripper_agreement: gripperAgreement.toFixed(3),
      latency_mean: ms(latencyMs.mean),
      latency_worst: ms(latencyMs.worst),
    },
  };
}

function latencyValues(name: string, { count, p50, p99, max }: Percentiles) {
  return {
    [`${name}_count`]: String(count),
    [`${name}_p50`]: ms(p50),
    [`${name}_p99`]: ms(p99),
    [`${name}_max`]: ms(max),
  };
}

function counted(counts: Iterable<readonly [string, number]>, prefix = '') {
  return Object.fromEntries([...counts].map(([code, n]) => [`${prefix}${code}`, String(n)]));
}

function sum(values: Iterable<number>): number {
  return [...values].reduce((total, value) => total + value, 0);
}

function ms(value: number | null): string {
  return value === null || Number.isNaN(value) ? 'none' : `${value.toFixed(1)} ms`;
}
