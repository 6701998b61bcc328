/**
 * Small dense symmetric matrices for the control tick, row-major in a Float64Array. Written by hand because they run
 * at control rate without garbage; the tests hold them against mathjs.
 */

/**
 * Solves A·x = b for symmetric positive definite A by Cholesky (Golub & Van Loan, Matrix Computations, 4.2.5).
 * `a` (n × n; the lower triangle is read and overwritten with its factor) and `b` (n; overwritten with x).
 * @returns whether A is positive definite to working precision; where not, `b` holds nothing useful.
 */
export function solveCholesky(a: Float64Array, b: Float64Array, n: number): boolean {
  if (!factorCholesky(a, n)) return false;
  solveFactored(a, b, n);
  return true;
}

/** A → L in the lower triangle, A = L·Lᵀ. @returns false where A is not positive definite, or not finite. */
export function factorCholesky(a: Float64Array, n: number): boolean {
  for (let row = 0; row < n; row++) {
    for (let col = 0; col <= row; col++) {
      let sum = a[row * n + col]!;
      for (let k = 0; k < col; k++) sum -= a[row * n + k]! * a[col * n + k]!;
      if (col < row) a[row * n + col] = sum / a[col * n + col]!;
      else if (sum > 0 && sum < Infinity) a[row * n + row] = Math.sqrt(sum);
      else return false;
    }
  }
  return true;
}

/** b → x of L·Lᵀ·x = b, with L from factorCholesky. */
export function solveFactored(l: Float64Array, b: Float64Array, n: number): void {
  for (let row = 0; row < n; row++) {
    let sum = b[row]!;
    for (let k = 0; k < row; k++) sum -= l[row * n + k]! * b[k]!;
    b[row] = sum / l[row * n + row]!;
  }
  for (let row = n - 1; row >= 0; row--) {
    let sum = b[row]!;
    for (let k = row + 1; k < n; k++) sum -= l[k * n + row]! * b[k]!;
    b[row] = sum / l[row * n + row]!;
  }
}

/** J·Jᵀ (rows × rows) of a row-major rows × cols matrix, into `out`. */
export function gram(j: Float64Array, rows: number, cols: number, out: Float64Array): void {
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c <= r; c++) {
      let sum = 0;
      for (let k = 0; k < cols; k++) sum += j[r * cols + k]! * j[c * cols + k]!;
      out[r * rows + c] = sum;
      out[c * rows + r] = sum;
    }
  }
}

/**
 * Eigenvalues of a symmetric n × n matrix, ascending, by cyclic Jacobi rotations (Golub & Van Loan, 8.5.2); `a` is
 * overwritten. Not for non-finite input, whose answer is NaN.
 */
export function symmetricEigenvalues(a: Float64Array, n: number): Float64Array {
  const MAX_SWEEPS = 30;
  for (let sweep = 0; sweep < MAX_SWEEPS; sweep++) {
    let [off, diagonal] = [0, 0];
    for (let r = 0; r < n; r++) {
      diagonal += a[r * n + r]! ** 2;
      for (let c = 0; c < r; c++) off += a[r * n + c]! ** 2;
    }
    if (!(off > 1e-32 * diagonal)) break;
    for (let p = 0; p < n - 1; p++) for (let q = p + 1; q < n; q++) rotateJacobi(a, n, p, q);
  }
  return Float64Array.from({ length: n }, (_, i) => a[i * n + i]!).sort();
}

/** One rotation that zeroes a[p][q] and a[q][p]. */
function rotateJacobi(a: Float64Array, n: number, p: number, q: number): void {
  const apq = a[p * n + q]!;
  if (apq === 0) return;
  const tau = (a[q * n + q]! - a[p * n + p]!) / (2 * apq);
  const t = (tau >= 0 ? 1 : -1) / (Math.abs(tau) + Math.hypot(1, tau));
  const c = 1 / Math.hypot(1, t);
  const s = t * c;
  for (let k = 0; k < n; k++) {
    const [akp, akq] = [a[k * n + p]!, a[k * n + q]!];
    a[k * n + p] = c * akp - s * akq;
    a[k * n + q] = s * akp + c * akq;
  }
  for (let k = 0; k < n; k++) {
    const [apk, aqk] = [a[p * n + k]!, a[q * n + k]!];
    a[p * n + k] = c * apk - s * aqk;
    a[q * n + k] = s * apk + c * aqk;
  }
}

/**
 * Smallest of the min(rows, cols) singular values of a row-major matrix. Through the Gram matrix, so values below
 * about 1e-8 of the largest read as 0 … 1e-8 of it: enough to slow an arm down, not for rank decisions.
 */
export function smallestSingularValue(j: Float64Array, rows: number, cols: number): number {
  const n = Math.min(rows, cols);
  const g = new Float64Array(n * n);
  if (rows <= cols) gram(j, rows, cols, g);
  else {
    const transposed = new Float64Array(rows * cols);
    for (let r = 0; r < rows; r++)
      for (let c = 0; c < cols; c++) transposed[c * rows + r] = j[r * cols + c]!;
    gram(transposed, cols, rows, g);
  }
  return Math.sqrt(Math.max(0, symmetricEigenvalues(g, n)[0]!));
}
