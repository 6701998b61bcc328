/** Pictures of one camera of a bag, as they were recorded: no robot.yaml is needed to look at a bag. */
import { DataError } from '../../errors.js';
import { spread } from '../../math/spread.js';
import type { CameraImage } from '../../types.js';
import { decodeCdr } from '../messages/cdr.js';
import { compressedImageFromMessage, imageFromMessage } from '../messages/messages.js';
import { layoutOf, shortName } from '../messages/schemas.js';
import type { Bag, BagMessage, Topic } from './bag.js';

const readers: Readonly<Record<string, typeof imageFromMessage>> = {
  'sensor_msgs/Image': imageFromMessage,
  'sensor_msgs/CompressedImage': compressedImageFromMessage,
};

export interface BagPicture {
  /** Seconds from the bag's start, by log time. */
  readonly seconds: number;
  readonly image: CameraImage;
}

/**
 * The topic of a bag that carries pictures.
 * @param wanted its name; without it the bag must have one such topic only.
 * @throws DataError naming those there are.
 */
export function pictureTopic(bag: Bag, wanted?: string): Topic {
  const topics = [...bag.topics.values()].filter(
    ({ topic, type }) =>
      Object.hasOwn(readers, shortName(type)) && (bag.counts.get(topic) ?? 0) > 0,
  );
  const names = topics.map(({ topic }) => topic).join(', ') || 'none';
  if (wanted !== undefined) {
    const found = topics.find(({ topic }) => topic === wanted);
    if (found) return found;
    throw new DataError(`${bag.path}: camera`, wanted, `a topic with pictures: ${names}`);
  }
  if (topics.length === 1) return topics[0]!;
  throw new DataError(
    `${bag.path}: camera`,
    `${topics.length} topics with pictures: ${names}`,
    topics.length === 0 ? 'one' : 'the name of one of them (--camera)',
  );
}

/** The last picture logged at or before `seconds` from the bag's start; the first one where there is none yet. */
export async function pictureAt(bag: Bag, topic: Topic, seconds: number): Promise<BagPicture> {
  const untilNs = bag.startNs + BigInt(Math.round(seconds * 1e9));
  let last: BagMessage | null = null;
  for await (const message of bag.messages(new Set([topic.topic]))) {
    if (last && message.logTimeNs > untilNs) break;
    last = message;
  }
  return pictureFrom(last!, bag, topic);
}

/** `count` pictures spread evenly over the bag, the first and the last among them; all where there are fewer. */
export async function picturesOver(bag: Bag, topic: Topic, count: number): Promise<BagPicture[]> {
  const wanted = new Set(spread(bag.counts.get(topic.topic)!, count));
  const pictures: BagPicture[] = [];
  let index = 0;
  for await (const message of bag.messages(new Set([topic.topic]))) {
    if (wanted.has(index)) pictures.push(pictureFrom(message, bag, topic));
    index++;
  }
  return pictures;
}

function pictureFrom({ logTimeNs, data }: BagMessage, bag: Bag, topic: Topic): BagPicture {
  const where = `${bag.path}: topic ${topic.topic} at ${logTimeNs} ns`;
  const message = decodeCdr(layoutOf(topic), data, where);
  const image = readers[shortName(topic.type)]!(message, where);
  return { seconds: Number(logTimeNs - bag.startNs) / 1e9, image };
}
