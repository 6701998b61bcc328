/** Answers to questions for people: lines of text, and the picture they are about with what they point at drawn in. */
import type { Box } from '../image/boxes.js';
import { copyImage, drawCircle, drawOutlinedLine, drawText, markColour } from '../image/draw.js';
import type { Pixel, RgbImage } from '../types.js';
import type { Answered, AskResult } from './ask.js';

/** What the model said, what it means, and why that is no answer where it is none. */
export function answerLines({ said, refused, marks, place, ms }: Answered): readonly string[] {
  const at = ({ x, y }: Pixel): string => `[${x.toFixed(0)}, ${y.toFixed(0)}] px`;
  const box = place?.mark == null ? '' : `, box ${place.mark}`;
  const cutOff =
    said && !said.isWhole ? [`(cut off after ${said.tokens} tokens: --max-tokens)`] : [];
  return [
    ...(said ? [said.text, ...cutOff] : []),
    ...(refused === null ? [] : [`refused: ${refused}`]),
    ...(marks ?? []).map((mark) => `  mark ${mark.id} at ${at(mark.at)}`),
    ...(place ? [`  click at ${at(place.at)}${box}`] : []),
    ...(said
      ? [
          `  (${said.tokens} tokens in ${ms.toFixed(0)} ms, confidence ${said.confidence.toFixed(2)})`,
        ]
      : []),
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
  result.answers.forEach(({ marks, place }, i) => {
    const pen = { colour: markColour(i + 1), width, opacity: 1 };
    if (place?.box) drawOutlinedLine(drawn, outlineOf(place.box), pen);
    if (place) drawCircle(drawn, place.at, 3 * width, pen);
    for (const { id, at } of marks ?? []) {
      const colour = markColour(id);
      drawCircle(drawn, at, 3 * width, { colour, width, opacity: 1 });
      drawText(drawn, String(id), { x: at.x + 4 * width, y: at.y - 4 * width }, 5 * width, colour);
    }
  });
  return drawn;
}

function outlineOf({ x, y, width, height }: Box): readonly Pixel[] {
  const [right, bottom] = [x + width, y + height];
  return [
    { x, y },
    { x: right, y },
    { x: right, y: bottom },
    { x, y: bottom },
    { x, y },
  ];
}
