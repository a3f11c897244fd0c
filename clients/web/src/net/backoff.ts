/** Waiting times that double from `first` to `most`, each drawn from nearly all of its range: thousands that lost one server must not return in one second. */
export class Backoff {
  private step = 0;

  constructor(private first = 500, private most = 30_000, private random: () => number = Math.random) {}

  next(): number {
    const top = Math.min(this.most, this.first * 2 ** this.step);
    if (top < this.most) this.step++;
    return Math.round(top * (0.1 + this.random() * 0.9));
  }

  reset(): void {
    this.step = 0;
  }
}
