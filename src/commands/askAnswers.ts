/** Answers to questions for people: lines of text, and the picture they are about with what they point at drawn in. */
import type { Box } from '../image/boxes.js';
import { copyImage, drawCircle, drawOutlinedLine, drawText, markColour } from '../image/draw.js';
import type { RgbImage } from '../types.js';
import type { Answered, AskResult } from './ask.js';
import { seconds } from './loadProgress.js';

/** What an answer says, one or more lines; why there is none, where it was refused. */
export function answerLines({ answer, ms }: Answered): readonly string[] {
  if (!answer.ok) return [`refused: ${answer.because}`];
  const { text, isWhole, confidence, tokens, marks, at, mark } = answer;
  const place = ({ x, y }: { x: number; y: number }): string =>
    `[${x.toFixed(0)}, ${y.toFixed(0)}] px`;
  const box = mark === null || mark === undefined ? '' : `, box ${mark}`;
  return [
    text,
    ...(isWhole ? [] : [`(cut off after ${tokens} tokens: --max-tokens)`]),
    ...(marks ?? []).map((located) => `  mark ${located.id} at ${place(located.at)}`),
    ...(at ? [`  click at ${place(at)}${box}`] : []),
    `  (${tokens} tokens in ${seconds(ms)}, confidence ${confidence.toFixed(2)})`,
  ];
}

/** A copy of the picture with marks, boxes and every answer's places; answers have the colours of marks 1, 2, … */
export function answeredPicture(picture: RgbImage, result: AskResult): RgbImage {
  const drawn = copyImage(picture);
  const width = Math.max(2, Math.min(picture.height, picture.width) / 240);
  const grey = { colour: [200, 200, 200] as const, width: width / 2, opacity: 0.8 };
  result.boxes.forEach((box, k) => {
    drawOutlinedLine(drawn, outlineOf(box), grey);
    const height = 5 * width;
    drawText(drawn, String(k), { x: box.x + width, y: box.y + width }, height, grey.colour);
  });
  for (const { at } of result.marks) drawCircle(drawn, at, 3 * width, grey);
  result.answers.forEach(({ answer }, i) => {
    if (!answer.ok) return;
    const pen = { colour: markColour(i + 1), width, opacity: 1 };
    if (answer.box) drawOutlinedLine(drawn, outlineOf(answer.box), pen);
    if (answer.at) drawCircle(drawn, answer.at, 3 * width, pen);
    for (const { id, at } of answer.marks ?? []) {
      const colour = markColour(id);
      drawCircle(drawn, at, 3 * width, { colour, width, opacity: 1 });
      drawText(drawn, String(id), { x: at.x + 4 * width, y: at.y - 4 * width }, 5 * width, colour);
    }
  });
  return drawn;
}

function outlineOf({ x, y, width, height }: Box) {
  const [right, bottom] = [x + width, y + height];
  return [
    { x, y },
    { x: right, y },
    { x: right, y: bottom },
    { x, y: bottom },
    { x, y },
  ];
}
