/** Everything that is reached over HTTP. Sizes and times are bounded before bytes are read. */
import { createServer, type Server } from "node:http"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as ByteSize from "effect/ByteSize"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as HttpIncomingMessage from "effect/http/HttpIncomingMessage"
import * as HttpRouter from "effect/http/HttpRouter"
import type * as HttpServerError from "effect/http/HttpServerError"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { type GuardOptions, makeGuard } from "./guard.ts"
import { guardMiddleware, guardUpgrades } from "./guard-middleware.ts"
import { type Health, healthRoutes } from "./health.ts"
import { loginRoutes } from "./login-route.ts"
import { metricsRoute } from "./metrics.ts"
import { type OperatorOptions, operatorRoutes } from "./operator/operator-routes.ts"
import { pageRoutes } from "./page-route.ts"
import { pageDir, readStaticFiles } from "./static-files.ts"
import type { V1Options } from "./v1-call.ts"
import { v1Routes } from "./v1-routes.ts"
import { type WebhookRouteOptions, webhookRoute } from "./webhook-route.ts"
import { openSockets, type SocketOptions } from "./ws.ts"

export interface HttpOptions extends WebhookRouteOptions, GuardOptions, Pick<SocketOptions, "connect"> {
  readonly port: number
  readonly health: Effect.Effect<Health>
  /** Prometheus' text format. */
  readonly metrics: Effect.Effect<string>
  readonly operator: OperatorOptions
  readonly v1: V1Options
}

/** `reason` is a sentence with the mend. */
export class NotListening extends Data.TaggedError("NotListening")<{ readonly reason: string }> {}

const headersMaxBytes = 16 * 1024
const headersMaxMs = 10_000
const requestMaxMs = 30_000
const connectionsMax = 20_000
const keepAliveMs = 65_000

/** Listens until the scope closes; what is being answered then may end. Gives the address it listens on. */
export const listen = Effect.fn("Http.listen")(function* (
  options: HttpOptions
): Effect.fn.Return<string, NotListening, Scope.Scope> {
  const server = createServer({
    maxHeaderSize: headersMaxBytes,
    headersTimeout: headersMaxMs,
    requestTimeout: requestMaxMs,
    keepAliveTimeout: keepAliveMs,
    connectionsCheckingInterval: 5_000
  })
  server.maxConnections = connectionsMax
  const guard = makeGuard(options)
  const page = yield* Effect.catch(readStaticFiles(pageDir), Effect.succeed)
  if ("reason" in page) yield* Effect.logInfo(page.reason)
  const routes = Layer.mergeAll(
    guardMiddleware(guard),
    ...healthRoutes(options.health, guard),
    ...loginRoutes(guard, options.v1.models[0].name),
    metricsRoute(options.metrics),
    operatorRoutes(options.operator),
    webhookRoute(options),
    v1Routes(options.v1),
    ...pageRoutes(page)
  )
  const app = HttpRouter.serve(routes, { disableLogger: true, disableListenLog: true }).pipe(
    Layer.provide(
      NodeHttpServer.layer(() => server, { host: options.host, port: options.port, gracefulShutdownTimeout: 1_000 })
    ),
    Layer.provide(Layer.succeed(HttpIncomingMessage.MaxBodySize, ByteSize.bytes(options.bodyMaxBytes)))
  )
  yield* Layer.build(app).pipe(Effect.mapError((error) => new NotListening({ reason: sentenceOf(error, options) })))
  yield* openSockets(server, { connect: options.connect, refuse: yield* guardUpgrades(guard) })
  return addressOf(server, options)
})

function addressOf(server: Server, { host, port }: HttpOptions): string {
  const address = server.address()
  const bound = typeof address === "object" && address !== null ? address.port : port
  return `http://${host.includes(":") ? `[${host}]` : host}:${bound}`
}

function sentenceOf(error: HttpServerError.ServeError, { host, port }: HttpOptions): string {
  const code = (error.cause as { readonly code?: string } | undefined)?.code
  if (code === "EADDRINUSE") {
    return `Port ${port} of ${host} is in use. Stop what listens there, or choose another port: PORT=${port + 1}`
  }
  if (code === "EACCES") return `Port ${port} is reserved for the system. Choose one above 1023: PORT=8080`
  if (code === "EADDRNOTAVAIL" || code === "ENOTFOUND") return `This machine has no address ${host}. Set HOST=127.0.0.1`
  return `Parley cannot listen on ${host}:${port}: ${code ?? String(error.cause)}`
}
