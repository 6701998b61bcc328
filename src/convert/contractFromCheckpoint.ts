/**
 * The small files of a Hugging Face-style folder → those of a model folder: its contract, the statistics of its actions, and
 * what is kept as it is. What a checkpoint does not say is asked for, never guessed: whose statistics, which robot, how long
 * a step is.
 */
import { readFileSync } from 'node:fs';
import { ConfigError, ModelError, messageOf } from '../errors.js';
import { parseContract, type Contract } from '../model/contract.js';
import { parseStatistics, type ActionStatistics } from '../model/statistics.js';
import { checkVocabulary } from '../model/tokenizer.js';
import { parseCheckpointConfig, type CheckpointConfig } from './checkpointConfig.js';
import { readCheckpointFolder, type CheckpointFolder } from './checkpointFolder.js';
import { datasets, isUnitless } from './datasets.js';
import { endEffectorDeltas, type Family, type StatisticsSource } from './families/family.js';
import { magma } from './families/magma.js';
import { openVla } from './families/openVla.js';

/** By `model_type` of config.json. */
const families: Readonly<Record<string, Family>> = { magma, openvla: openVla };

export interface ContractOptions {
  /** What messages call the model. */
  readonly name: string;
  /** A dataset_statistics.json to use instead of the folder's own. */
  readonly statistics?: string;
  /** Which of several datasets a robot's actions are un-normalised with. */
  readonly unnormKey?: string;
  /** Length of one step, s; needed for a dataset whose rate is not public. */
  readonly period?: number;
  /** Robots the model was trained for; none: the node says of every robot that it was not. */
  readonly robots?: Contract['robots'];
  /** Share of the picture's area that is kept and enlarged, for a model trained with random crops (0.9). */
  readonly centreCrop?: number;
}

export interface DerivedContract {
  /** Text by file name, all of a model folder but its graphs. */
  readonly files: Readonly<Record<string, string>>;
  readonly contract: Contract;
  readonly config: CheckpointConfig;
  /** What was chosen, and what follows from it, one sentence each. */
  readonly notes: readonly string[];
}

/** @throws ModelError or ConfigError where a file is missing, says something that is not known here, or leaves a choice. */
export function contractFromCheckpoint(path: string, options: ContractOptions): DerivedContract {
  const folder = readCheckpointFolder(path);
  const family = familyOf(folder);
  checkCentreCrop(family, options);
  const source = statisticsOf(folder, family, options);
  const statistics = chooseDataset(source, options);
  const period = periodOf(statistics.key, options);
  const model = family.contract(folder, {
    name: options.name,
    statistics: statistics.key,
    period,
    robots: options.robots ?? [],
    centreCrop: options.centreCrop ?? 1,
  });
  const { text, leftOut } = inMetres(source.text);
  const files = {
    ...folder.kept,
    'model.json': `${JSON.stringify(model, null, 2)}\n`,
    'dataset_statistics.json': text.endsWith('\n') ? text : `${text}\n`,
  };
  const contract = parseContract(files['model.json'], text, folder.file('model.json'));
  const config = checkTogether(folder, contract);
  const ownNotes = notesOf(source, statistics, contract, options);
  const notes = [...family.notes, ...ownNotes, ...notesOn(leftOut)];
  const isWhole = options.centreCrop === undefined && family.wholePicture !== null;
  return { files, contract, config, notes: isWhole ? [...notes, family.wholePicture] : notes };
}

/** An option that would change nothing is a mistake: 90 for 0.9, or a model that is never cropped. */
function checkCentreCrop({ wholePicture }: Family, { centreCrop }: ContractOptions): void {
  if (centreCrop === undefined) return;
  if (wholePicture === null) {
    const expected = 'none: models of this kind are shown the whole picture';
    throw new ConfigError('--centre-crop', String(centreCrop), expected);
  }
  if (!(centreCrop > 0 && centreCrop <= 1)) {
    throw new ConfigError(
      '--centre-crop',
      String(centreCrop),
      'a share of the area, above 0, to 1',
    );
  }
}

function familyOf(folder: CheckpointFolder): Family {
  const type = folder.config['model_type'];
  if (typeof type === 'string' && Object.hasOwn(families, type)) return families[type]!;
  const got = type === undefined ? 'nothing' : JSON.stringify(type);
  const where = `${folder.file('config.json')}: model_type`;
  throw new ModelError(where, got, Object.keys(families).join(' | '));
}

interface FoundStatistics extends StatisticsSource {
  readonly text: string;
}

function statisticsOf(
  folder: CheckpointFolder,
  family: Family,
  { statistics }: ContractOptions,
): FoundStatistics {
  if (statistics !== undefined) return { where: statistics, text: readText(statistics) };
  const found = family.statistics(folder).find(({ text }) => text !== null);
  if (found) return found as FoundStatistics;
  throw new ModelError(
    folder.path,
    'no statistics of actions',
    'a dataset_statistics.json in it, or --statistics FILE: without q01 and q99 of the data it was trained on, an answer has no size in metres',
  );
}

interface ChosenDataset {
  readonly key: string;
  readonly action: ActionStatistics;
}

function chooseDataset(source: FoundStatistics, { unnormKey }: ContractOptions): ChosenDataset {
  const dims = endEffectorDeltas.dims.length;
  const all = parseStatistics(source.text, dims, source.where);
  const keys = Object.keys(all);
  const key = unnormKey ?? (keys.length === 1 ? keys[0]! : undefined);
  if (key === undefined) {
    const got = `${keys.length} datasets, none chosen`;
    throw new ConfigError(source.where, got, `--unnorm-key with one of ${keys.join(', ')}`);
  }
  if (!Object.hasOwn(all, key)) {
    throw new ConfigError(`${source.where}: unnorm key`, `"${key}"`, `one of ${keys.join(', ')}`);
  }
  if (isUnitless(key)) {
    const expected =
      'q01 and q99 in m and rad per step: multiply the first three by 0.05 and the next three by 0.5, give the file with --statistics and the dataset another name, and set answers.action.rotation of model.json to rotationVector';
    throw new ConfigError(`${source.where}: ${key}`, "inputs of robosuite's controller", expected);
  }
  return { key, action: all[key]! };
}

/** Statistics that an arm may be driven with: a run may choose any of those that lie in the model folder. */
function inMetres(text: string): { readonly text: string; readonly leftOut: readonly string[] } {
  const all = Object.entries(JSON.parse(text) as Readonly<Record<string, unknown>>);
  const leftOut = all.map(([name]) => name).filter(isUnitless);
  if (leftOut.length === 0) return { text, leftOut };
  const kept = all.filter(([name]) => !isUnitless(name));
  return { text: JSON.stringify(Object.fromEntries(kept), null, 2), leftOut };
}

function notesOn(leftOut: readonly string[]): readonly string[] {
  if (leftOut.length === 0) return [];
  return [`Left out, because they are inputs of robosuite's controller: ${leftOut.join(', ')}.`];
}

function periodOf(key: string, { period }: ContractOptions): number {
  if (period !== undefined) return period;
  if (Object.hasOwn(datasets, key)) return datasets[key]!.period;
  const known = Object.keys(datasets).join(', ');
  const expected = `--period SECONDS of one step of this dataset (known: ${known})`;
  throw new ConfigError(`statistics "${key}"`, 'no public control rate', expected);
}

/** That contract, tokenizer and config.json belong together. */
function checkTogether(folder: CheckpointFolder, contract: Contract): CheckpointConfig {
  checkVocabulary(contract, folder.tokenizer.vocabulary, folder.file('tokenizer.json'));
  const where = folder.file('config.json');
  const config = parseCheckpointConfig(folder.kept['config.json']!, contract, where);
  checkEmbedding(folder, config);
  checkEnd(folder, contract);
  checkPictures(contract, config, where);
  return config;
}

/** Every id that the tokenizer can give has a row of the embedding. */
function checkEmbedding({ tokenizer, file }: CheckpointFolder, config: CheckpointConfig): void {
  const ids = [...Object.values(tokenizer.pieces), ...tokenizer.added.keys()];
  const largest = ids.reduce((most, id) => Math.max(most, id), 0);
  const { vocabulary } = config.decoder;
  if (largest < vocabulary) return;
  const where = `${file('tokenizer.json')}: largest id`;
  throw new ModelError(where, String(largest), `below text_config.vocab_size ${vocabulary}`);
}

/** generation_config.json ends an answer with the token the contract ends it with. */
function checkEnd({ generation, tokenizer, file }: CheckpointFolder, { tokens }: Contract): void {
  const said = generation?.['eos_token_id'];
  if (said === undefined || said === null) return;
  const ids: unknown[] = Array.isArray(said) ? said : [said];
  const id = tokenizer.vocabulary.idOf(tokens.eos);
  if (ids.includes(id)) return;
  const where = `${file('generation_config.json')}: eos_token_id`;
  throw new ModelError(where, JSON.stringify(said), `${id}, which is ${tokens.eos}`);
}

/** What a tower is given is of the size it was made for. */
function checkPictures(
  { towers, recipes }: Contract,
  config: CheckpointConfig,
  where: string,
): void {
  config.towers.forEach((tower, i) => {
    const { cropSize } = recipes[towers[i]!.recipe]!.canvas;
    const [unit, expected] =
      tower.kind === 'vit'
        ? [tower.imageSize, `${tower.imageSize}`]
        : [tower.patchSize * 2 ** (tower.widths.length - 1), 'a multiple of its stride'];
    const fits = tower.kind === 'vit' ? cropSize === unit : cropSize % unit === 0;
    if (!fits) throw new ModelError(`${where}: pictures of tower ${i}`, `${cropSize} px`, expected);
  });
}

function notesOf(
  source: StatisticsSource,
  { key, action }: ChosenDataset,
  contract: Contract,
  options: ContractOptions,
): readonly string[] {
  const { period, gripper } = contract.answers.action;
  const others = Object.keys(contract.statistics).length - 1;
  const rate = options.period === undefined ? datasets[key]!.source : 'as the option --period says';
  const notes = [
    `Actions are un-normalised with ${key} of ${source.where}${others > 0 ? `; ${others} others are there` : ''}.`,
    `A step is ${Number(period.toFixed(4))} s: ${rate}.`,
    'A step is taken as x, y, z (m), roll, pitch, yaw (rad) of the tool in the base frame, and the gripper, as Open X-Embodiment data is prepared: a model trained on anything else needs another model.json.',
    `Gripper: ${gripper.open} is open, ${gripper.closed} is closed, as openvla/openvla prepares every dataset (oxe/transforms.py)${action.mask[6] ? '; these statistics normalise it' : ''}.`,
  ];
  if (contract.robots.length === 0) {
    notes.push(
      'No robot is listed: the node says of every robot that the model was not trained for it (--robot, --tcp and --unnorm-key list one).',
    );
  }
  return notes;
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new ConfigError(path, messageOf(error), 'a readable dataset_statistics.json');
  }
}
