/** What is up, what is not, and why. */
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import type { ModelStatus } from "../inference/model-status.ts"

export interface Health {
  readonly ready: boolean
  readonly durability: "strict" | "relaxed"
  /** What each part says of itself: "up", or why it is not. */
  readonly parts: Readonly<Record<string, string>>
  /** The default one first, which is the part `model` as well: without another one the server is ready all the same. */
  readonly models: ReadonlyArray<ModelHealth>
}

/** Times as in RFC 3339. */
export interface ModelHealth extends Omit<ModelStatus, "sinceMs" | "lastRequestMs" | "servers"> {
  readonly since: string
  readonly lastRequest?: string
  /** Where other servers run it. */
  readonly servers?: ReadonlyArray<ServerHealth>
}

export interface ServerHealth {
  readonly server: string
  /** "up", or why it is not. */
  readonly state: string
  /** ISO 8601: since when it is so. */
  readonly since: string
  readonly inFlight: number
  /** How many requests it is given at once, as learned from it. */
  readonly limit: number
}

/** Live: the process answers. Ready: an event that comes now is accepted and a model would answer it. */
export const healthRoutes = (health: Effect.Effect<Health>) =>
  [
    HttpRouter.add("GET", "/health/live", HttpServerResponse.jsonUnsafe({ live: true })),
    HttpRouter.add(
      "GET",
      "/health/ready",
      Effect.map(health, (report) => HttpServerResponse.jsonUnsafe(report, { status: report.ready ? 200 : 503 }))
    )
  ] as const
