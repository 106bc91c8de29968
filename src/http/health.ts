/** What is up, what is not, and, for the operator, why. */
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import type { ModelStatus } from "../inference/model-status.ts"
import type { Guard } from "./guard.ts"
import { guarded } from "./guard-middleware.ts"

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

type Part = "up" | "starting" | "down"

/** For everybody who reaches the port: nothing of files, servers, accounts, or what somebody else's error says. */
export interface PublicHealth extends Pick<Health, "ready" | "durability"> {
  readonly parts: Readonly<Record<"database" | "model" | "channels", Part>>
}

export function publicHealth({ durability, models: [model], parts, ready }: Health): PublicHealth {
  const { database, model: ofModel, ...channels } = parts
  const isLoading = model?.state === "loading" || model?.state === "cold"
  return {
    ready,
    durability,
    parts: {
      database: database === "up" ? "up" : "down",
      model: ofModel === "up" ? "up" : isLoading ? "starting" : "down",
      // One that is lost is opened again.
      channels: Object.values(channels).every((state) => state === "up") ? "up" : "starting"
    }
  }
}

/**
 * Live: the process answers. Ready: an event that comes now is accepted and a model would answer it; the details are
 * the operator's.
 */
export const healthRoutes = (health: Effect.Effect<Health>, { isOperator }: Pick<Guard, "isOperator">) =>
  [
    HttpRouter.add("GET", "/health/live", HttpServerResponse.jsonUnsafe({ live: true })),
    HttpRouter.add(
      "GET",
      "/health/ready",
      Effect.gen(function* () {
        const report = yield* health
        const shown = isOperator(yield* guarded) ? report : publicHealth(report)
        return HttpServerResponse.jsonUnsafe(shown, { status: report.ready ? 200 : 503 })
      })
    )
  ] as const
