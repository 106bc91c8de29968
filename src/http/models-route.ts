/** `GET /v1/models` and `GET /v1/models/{id}`. */
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import { errorResponse, unknownModel } from "./api-error.ts"

/** `created`, in seconds, is when the server began to serve it. */
export const modelsRoutes = (id: string, created: number) => {
  const model = { id, object: "model", created, owned_by: "parley" }
  const found = HttpServerResponse.jsonUnsafe(model)
  const named = Effect.map(HttpRouter.params, ({ model: asked = "" }) =>
    asked === id ? found : errorResponse(unknownModel(asked, id))
  )
  return [
    HttpRouter.route("GET", "/v1/models", HttpServerResponse.jsonUnsafe({ object: "list", data: [model] })),
    HttpRouter.route("GET", "/v1/models/:model", named)
  ] as const
}
