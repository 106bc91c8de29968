/** OpenAI's API: its routes, and an answer in its own form to whatever else comes under `/v1`. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import type * as HttpServerRequest from "effect/http/HttpServerRequest"
import { errorResponse, unknownUrl, wrongMethod } from "./api-error.ts"
import { chatRoute } from "./chat-route.ts"
import { embeddingsRoute } from "./embeddings-route.ts"
import { modelsRoutes } from "./models-route.ts"
import type { V1Options } from "./v1-call.ts"

export const v1Routes = (options: V1Options) =>
  HttpRouter.addAll(
    Effect.map(Clock.currentTimeMillis, (nowMs) => [
      chatRoute(options),
      embeddingsRoute(options),
      ...modelsRoutes(
        options.models.map(({ name }) => name),
        Math.floor(nowMs / 1_000)
      ),
      HttpRouter.route("*", "/v1/*", elsewhere)
    ])
  )

const methods: ReadonlyArray<readonly [path: RegExp, allow: string]> = [
  [/^\/v1\/chat\/completions\/?$/i, "POST"],
  [/^\/v1\/embeddings\/?$/i, "POST"],
  [/^\/v1\/models(\/[^/]+)?\/?$/i, "GET"]
]

function elsewhere({ method, url }: HttpServerRequest.HttpServerRequest) {
  const [path = ""] = url.split("?", 1)
  const allow = methods.find(([pattern]) => pattern.test(path))?.[1]
  // The right method comes here with a model's name that is too long for the router.
  const isWrong = allow !== undefined && allow !== method
  return Effect.succeed(errorResponse(isWrong ? wrongMethod(method, allow) : unknownUrl(method, path)))
}
