/**
 * Preloaded (`node --import`) into processes that a command starts: asks this process to stop when the one that started it
 * has gone, even by SIGKILL. The channel between them closes with its other end; nothing is ever sent over it.
 */
if (process.channel && process.env.SCHOOLS24_PARENT_PID === String(process.ppid)) {
  process.once('disconnect', () => process.kill(process.pid, 'SIGTERM'));
  // A listener for 'disconnect' alone must not keep a process running that has nothing left to do.
  process.channel.unref();
}
