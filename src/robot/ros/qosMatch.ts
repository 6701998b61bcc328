/** Whether what a publisher offers is enough for a subscription: DDS leaves the two unconnected without a word. */
import type { Endpoint, Qos } from './ros.js';

const words = {
  bestEffort: 'best effort',
  reliable: 'reliable',
  volatile: 'volatile',
  transientLocal: 'transient local',
} as const;

/** Null where they connect; else why not. @see https://docs.ros.org/en/jazzy/Concepts/Intermediate/About-Quality-of-Service-Settings.html */
export function qosMismatch(offered: Qos, requested: Qos): string | null {
  const { bestEffort, reliable, volatile, transientLocal } = words;
  if (offered.reliability === 'bestEffort' && requested.reliability === 'reliable')
    return `publishes ${bestEffort}, ${reliable} is asked for`;
  if (offered.durability === 'volatile' && requested.durability === 'transientLocal')
    return `publishes ${volatile}, ${transientLocal} is asked for`;
  return null;
}

/** Why a publisher is not heard by a subscription of ours: its type or its quality of service. Null where it is. */
export function unheard(publisher: Endpoint, type: string, requested: Qos): string | null {
  if (publisher.type !== type) return `${publisher.node} publishes ${publisher.type}, not ${type}`;
  const mismatch = qosMismatch(publisher.qos, requested);
  return mismatch && `${publisher.node} ${mismatch}: set qos in robot.yaml`;
}

/** Why a subscription does not hear a publisher of ours. Null where it does. */
export function deaf(subscription: Endpoint, type: string, offered: Qos): string | null {
  if (subscription.type !== type)
    return `${subscription.node} expects ${subscription.type}, not ${type}`;
  const mismatch = qosMismatch(offered, subscription.qos);
  return mismatch && `${subscription.node} is not connected: this node ${mismatch}`;
}
