/** The application as diagnostics see it. */
import type { RosLifecycle, RosNode } from '../robot/ros/ros.js';
import type { Application } from './application.js';
import type { DiagnosticsSource } from './diagnostics.js';
import type { Equipment } from './equipment.js';
import type { ConfiguredFacts, InputFacts } from './facts.js';

export function diagnosed(
  node: RosNode,
  application: Application,
  lifecycle: RosLifecycle,
): DiagnosticsSource {
  return {
    facts: () => {
      const { equipment, stops } = application;
      return {
        now: application.now(),
        robot: equipment?.config.robot ?? '',
        lifecycle: lifecycle.state,
        isTakenOver: application.isTakenOver,
        isDryRun: application.isDryRun,
        latched: stops.latched,
        clock: application.time.problem(),
        failures: node.failures,
        configured: equipment && configuredFacts(node, application, equipment),
      };
    },
  };
}

function configuredFacts(
  node: RosNode,
  application: Application,
  equipment: Equipment,
): ConfiguredFacts {
  const { control } = application.effective ?? equipment.config;
  const { robot, policy, monitor, shadow, transforms } = equipment;
  return {
    controlPeriod: 1 / control.rateHz,
    actionDeadlineMs: control.actionDeadlineMs,
    inputs: inputFacts(node, equipment),
    policy: { facts: policy.facts, dropped: policy.dropped() },
    control: monitor.facts(application.now().nowNs),
    output: {
      target: robot.target,
      isOpen: robot.isOpen,
      withheld: robot.withheld,
      problem: robot.problem(),
    },
    transformsRefused: transforms.refused,
    shadow: shadow?.comparison ?? null,
  };
}

function inputFacts(node: RosNode, { robot, config }: Equipment): InputFacts[] {
  const { guard, joints } = config;
  const arm = joints && node.resolve(joints.topic);
  return robot.inputs().map((report) => ({
    ...report,
    maxAge: report.topic === arm ? guard.maxJointAge : guard.maxObservationAge,
  }));
}
