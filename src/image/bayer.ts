/**
 * Bayer mosaic → rgb8 by bilinear interpolation: what a site lacks is the rounded mean of its two or four nearest
 * neighbours of that colour. Equal to OpenCV's `COLOR_Bayer*2RGB` inside; at the border the picture is mirrored
 * (row −1 is row 1), where OpenCV copies the next inner pixel. Callers have checked the sizes: both even, ≥ 2.
 */
export function rgbFromBayer(
  image: {
    readonly height: number;
    readonly width: number;
    readonly step: number;
    readonly data: Uint8Array;
  },
  redRow: 0 | 1,
  redCol: 0 | 1,
  rgb: Uint8Array,
): void {
  const { height, width, step, data } = image;
  let to = 0;
  for (let y = 0; y < height; y++) {
    const row = y * step;
    const up = (y > 0 ? y - 1 : 1) * step;
    const down = (y < height - 1 ? y + 1 : height - 2) * step;
    // A row holds green and one other colour: red in red rows, blue in the rest. `own` and `other` are its channels.
    const own = (y & 1) === redRow ? 0 : 2;
    const other = 2 - own;
    const ownCol = own === 0 ? redCol : 1 - redCol;
    for (let x = 0; x < width; x++, to += 3) {
      const left = x > 0 ? x - 1 : 1;
      const right = x < width - 1 ? x + 1 : width - 2;
      const here = data[row + x]!;
      const sides = data[row + left]! + data[row + right]!;
      const ends = data[up + x]! + data[down + x]!;
      if ((x & 1) === ownCol) {
        const corners =
          data[up + left]! + data[up + right]! + data[down + left]! + data[down + right]!;
        rgb[to + own] = here;
        rgb[to + 1] = (sides + ends + 2) >> 2;
        rgb[to + other] = (corners + 2) >> 2;
      } else {
        rgb[to + own] = (sides + 1) >> 1;
        rgb[to + 1] = here;
        rgb[to + other] = (ends + 1) >> 1;
      }
    }
  }
}
