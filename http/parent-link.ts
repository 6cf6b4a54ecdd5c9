// Loaded into a node that has a parent, before anything else: the node ends when its parent is gone, however that went.
// A node that outlived its parent would hold the port and the data folder against the next start.

const LINGER_MS = 5_000;

// In a worker thread, which inherits the flags of its process, there is no channel.
if (process.connected) {
  process.once('disconnect', () => {
    // What was accepted is durable, so an orderly end is a courtesy and may not take long.
    setTimeout(() => process.kill(process.pid, 'SIGKILL'), LINGER_MS).unref();
    process.kill(process.pid, 'SIGTERM');
  });
  // Listening must not keep a node alive that has nothing left to do.
  process.channel?.unref();
}
