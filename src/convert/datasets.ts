/** What is public about datasets that models were trained on, by the names their statistics have. */

export interface Dataset {
  /** Length of one step, s. */
  readonly period: number;
  /** Where the figure is from. */
  readonly source: string;
}

const bridge: Dataset = {
  period: 0.2,
  source: 'control_frequency 5 of openvla/openvla experiments/robot/bridge/run_bridgev2_eval.py',
};
const fractal: Dataset = {
  period: 0.333,
  source: '3 Hz: RT-1 (arXiv 2212.06817), on which the dataset was recorded',
};

export const datasets: Readonly<Record<string, Dataset>> = {
  bridge_orig: bridge,
  bridge_oxe: bridge,
  bridge,
  fractal20220817_data: fractal,
  google_robot: fractal,
};

/**
 * LIBERO's actions are inputs of robosuite's OSC_POSE controller (docs/modules/controllers.md), −1 … 1, of which it makes at
 * most 0.05 m and, as a rotation vector, 0.5 rad a step. Nobody's arm may take them for metres.
 */
export function isUnitless(name: string): boolean {
  return name.startsWith('libero');
}
