// Computes the thresholded picture and the 8x3 observation as robotini_ray/environment/observation.py defines them.

const DARKEST_COLOR = 101;
const QUARTERS = 4;

// Returns the RGBA bytes of a picture without its top quarter: a channel is 255 if it is its pixel's maximum and above 100,
// else 0.
export function threshold(rgba, width, height) {
  const top = Math.floor(height / 4);
  const from = top * width * 4;
  const result = new Uint8ClampedArray((height - top) * width * 4);
  for (let i = 0; i < result.length; i += 4) {
    const red = rgba[from + i], green = rgba[from + i + 1], blue = rgba[from + i + 2];
    const brightest = Math.max(red, green, blue, DARKEST_COLOR);
    result[i] = red === brightest ? 255 : 0;
    result[i + 1] = green === brightest ? 255 : 0;
    result[i + 2] = blue === brightest ? 255 : 0;
    result[i + 3] = 255;
  }
  return { rgba: result, width, height: height - top };
}

// Returns a Float32Array of 8 rows of red, green, blue: the quarters of the columns from left to right, then those of the rows
// from top to bottom.
export function features(thresholded) {
  const { rgba, width, height } = thresholded;
  const profiles = new Float64Array((width + height) * 3);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      for (let c = 0; c < 3; c++) {
        if (rgba[(y * width + x) * 4 + c]) {
          profiles[x * 3 + c] += 1;
          profiles[(width + y) * 3 + c] += 1;
        }
      }
    }
  }
  scaleEach(profiles);
  const result = new Float32Array(2 * QUARTERS * 3);
  addQuarters(profiles, 0, width, result, 0);
  addQuarters(profiles, width, height, result, QUARTERS);
  return result;
}

// Scales each column (row) so that its rarest colour becomes 0 and its most frequent one 1; all become 0 if they are equal.
function scaleEach(profiles) {
  for (let i = 0; i < profiles.length; i += 3) {
    const low = Math.min(profiles[i], profiles[i + 1], profiles[i + 2]);
    const spread = Math.max(profiles[i], profiles[i + 1], profiles[i + 2]) - low;
    for (let c = 0; c < 3; c++) profiles[i + c] = spread ? (profiles[i + c] - low) / spread : 0;
  }
}

// Adds the means over quarters; a column (row) on the border of two quarters counts in both in proportion to its area.
function addQuarters(profiles, start, size, result, firstRow) {
  const quarter = size / QUARTERS;
  for (let q = 0; q < QUARTERS; q++) {
    const low = q * quarter, high = low + quarter;
    for (let i = Math.floor(low); i < Math.min(size, Math.ceil(high)); i++) {
      const share = (Math.min(i + 1, high) - Math.max(i, low)) / quarter;
      for (let c = 0; c < 3; c++) result[(firstRow + q) * 3 + c] += share * profiles[(start + i) * 3 + c];
    }
  }
}
