/** How long the scheduler waits for what, and how often it tries. */
export const defaults = {
  /** How often one request is tried; the rule for suspects of schedule.ts usually speaks first. */
  attemptsMax: 5,
  /** How long an engine that has no room is asked again: as long as a person waits for a sign. */
  busyMaxMs: 60_000,
  /** The first pause after a loss, in which all losses of one death arrive; each further one is twice as long. */
  backoffMinMs: 250,
  backoffMaxMs: 10_000,
  /** How often an engine that was lost is asked whether it is back. */
  readyPollMs: 250,
  /** How long requests wait for a lost engine: a large model takes minutes to load again. */
  outageMaxMs: 300_000,
  /** A background request that has waited so long stands among the interactive ones. */
  agedAfterMs: 60_000
}
