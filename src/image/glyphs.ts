/** Two bitmap fonts of our own: digits of 3×5 pixels for small marks, printable ASCII of 5×7 for the rest. */

export interface Font {
  readonly height: number;
  readonly width: number;
  /** Bits of one row of a character, the leftmost pixel being bit width − 1. Unknown characters are boxes. */
  readonly row: (character: string, y: number) => number;
}

/** Five rows of three bits per digit, one octal digit a row. */
const digits = [
  ...['75557', '26227', '71747', '71317', '55711'],
  ...['74717', '74757', '71122', '75757', '75717'],
];

/** From the space (32) to the tilde (126); seven rows of five bits, two hexadecimal digits a row. */
const ascii = [
  '00000000000000 04040404040004 0a0a0a00000000 0a0a1f0a1f0a0a 040f140e051e04 18190204081303',
  '0c12140815120d 04040800000000 02040808080402 08040202020408 0004150e150400 0004041f040400',
  '000000000c0408 0000001f000000 00000000000c0c 00010204081000 040a1111110a04 040c040404040e',
  '0e11010204081f 1f02040201110e 02060a121f0202 1f101e0101110e 0608101e11110e 1f010204080808',
  '0e11110e11110e 0e11110f01020c 000c0c000c0c00 000c0c000c0408 02040810080402 00001f001f0000',
  '08040201020408 0e110102040004 0e11010d15150e 0e1111111f1111 1e11111e11111e 0e11101010110e',
  '1c12111111121c 1f10101e10101f 1f10101e101010 0e11101711110f 1111111f111111 0e04040404040e',
  '0702020202120c 11121418141211 1010101010101f 111b1515111111 11111915131111 0e11111111110e',
  '1e11111e101010 0e11111115120d 1e11111e141211 0f10100e01011e 1f040404040404 1111111111110e',
  '11111111110a04 1111111515150a 11110a040a1111 1111110a040404 1f01020408101f 0e08080808080e',
  '00100804020100 0e02020202020e 040a1100000000 0000000000001f 08040200000000 00000e010f110f',
  '1010161911111e 00000e1010110e 01010d1311110f 00000e111f100e 0609081c080808 000f11110f010e',
  '10101619111111 04000c0404040e 0200060202120c 10101214181412 0c04040404040e 00001a15151111',
  '00001619111111 00000e1111110e 00001e111e1010 00000d130f0101 00001619101010 00000e100e011e',
  '08081c08080906 0000111111130d 00001111110a04 0000111115150a 0000110a040a11 000011110f010e',
  '00001f0204081f 02040408040402 04040404040404 08040402040408 00000815020000',
].flatMap((line) => line.split(' '));

const box = '1f11111111111f';

export const digitFont: Font = {
  height: 5,
  width: 3,
  row: (character, y) => parseInt((digits[Number(character)] ?? '77777')[y]!, 8),
};

export const asciiFont: Font = {
  height: 7,
  width: 5,
  row: (character, y) =>
    parseInt((ascii[character.charCodeAt(0) - 32] ?? box).slice(2 * y, 2 * y + 2), 16),
};

/** Whether the pixel (x, y) of a character is set; outside the character none is. */
export function glyphPixel(font: Font, character: string, x: number, y: number): boolean {
  if (x < 0 || y < 0 || x >= font.width || y >= font.height) return false;
  return ((font.row(character, y) >> (font.width - 1 - x)) & 1) === 1;
}
