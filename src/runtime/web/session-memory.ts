import type { Tensor } from "../../base/tensor.js";

/** The rows that a session remembers under the name of an input, with room for more behind them. */
export class SessionMemory {
  private rows = 0;
  private width = 0;
  private values = new Float32Array(0);

  constructor(private readonly input: string) {}

  /**
   * What is remembered, as the input's data; the rows behind the first `remember` are forgotten.
   * @param row  shape of one row
   */
  recall(row: readonly number[], remember = this.rows): Tensor {
    if (remember > this.rows)
      throw new Error(`${remember} rows of "${this.input}" are to be remembered, and there are ${this.rows}.`);
    this.rows = remember;
    const width = row.reduce((a, b) => a * b, 1);
    if (this.rows > 0 && this.width !== width)
      throw new Error(`"${this.input}" does not remember ${this.rows} rows of [${row.join(", ")}].`);
    this.width = width;
    return { dtype: "float32", shape: [this.rows, ...row], data: this.values.subarray(0, this.rows * width) };
  }

  /** Puts rows below those that are remembered; the room doubles when it is full. */
  append(data: Float32Array, rows: number): void {
    const length = this.rows * this.width;
    if (length + data.length > this.values.length) {
      const larger = new Float32Array(Math.max(length + data.length, 2 * length));
      larger.set(this.values.subarray(0, length));
      this.values = larger;
    }
    this.values.set(data, length);
    this.rows += rows;
  }
}
