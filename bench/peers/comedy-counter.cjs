// The receiving actor of the comedy benchmark. comedy loads it by its path from the folder of its own node_modules.
class Counter {
  initialize() {
    this.total = 0;
  }
  inc(message) {
    this.total += message.body.n;
  }
  sum() {
    const total = this.total;
    this.total = 0;
    return total;
  }
}
module.exports = Counter;
