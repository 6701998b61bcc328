/** What every kind of checkpoint says about itself beside its weights, and how that becomes a contract. */
import type { Contract } from '../../model/contract.js';
import type { CheckpointFolder } from '../checkpointFolder.js';

/** model.json, before the statistics file it names is read. */
export type ModelJson = Omit<Contract, 'statistics'>;

/** What no checkpoint knows. */
export interface FamilyOptions {
  readonly name: string;
  /** Statistics of a robot the model does not know (`unnorm_key`). */
  readonly statistics: string;
  /** Length of one step, s. */
  readonly period: number;
  readonly robots: Contract['robots'];
  /** Share of the picture's area that is kept and enlarged; 1: all of it. */
  readonly centreCrop: number;
}

export interface Family {
  /** Where the folder itself has statistics, most important first; each may be absent. */
  readonly statistics: (folder: CheckpointFolder) => readonly StatisticsSource[];
  /** What is the same for all models of this kind and left to whoever knows how one was trained. */
  readonly notes: readonly string[];
  /** What follows for models of this kind where the whole picture is shown; null: it is never cropped. */
  readonly wholePicture: string | null;
  /** @throws ModelError where a file says something this family's code does not do. */
  readonly contract: (folder: CheckpointFolder, options: FamilyOptions) => ModelJson;
}

export interface StatisticsSource {
  readonly where: string;
  /** JSON text of {dataset: {action: {q01, q99, mask, …}}}; null: not there. */
  readonly text: string | null;
}

/** Of the end effector, as microsoft/Magma and openvla/openvla un-normalise and apply them. */
export const endEffectorDeltas = {
  dims: ['x', 'y', 'z', 'roll', 'pitch', 'yaw', 'gripper'],
  rotation: 'rpy',
  /**
   * Both were trained on Open X-Embodiment as openvla/openvla prepares it (`oxe/transforms.py`): whatever a dataset called
   * open, it is 1 there, and closed is 0.
   */
  gripper: { open: 1, closed: 0 },
  reference: 'lastTarget',
  composition: 'base',
} as const;
