/** What the command tells the shell when it ends. */
export const exitCodes = {
  ok: 0,
  trouble: 1,
  /** As shells have it. */
  usage: 2,
  /** EX_UNAVAILABLE of sysexits.h: no server answers. */
  unreachable: 69,
  /** EX_NOPERM of sysexits.h: the server wants another token. */
  denied: 77,
  /** EX_CONFIG of sysexits.h: starting again cannot help. */
  config: 78,
  /** 128 and the number of the signal, as shells have it. */
  SIGINT: 130,
  SIGTERM: 143
}
