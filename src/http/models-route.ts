/** `GET /v1/models` and `GET /v1/models/{id}`. */
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import { errorResponse, unknownModel } from "./api-error.ts"

/** `created`, in seconds, is when the server began to serve them. */
export const modelsRoutes = (ids: ReadonlyArray<string>, created: number) => {
  const data = ids.map((id) => ({ id, object: "model", created, owned_by: "parley" }))
  const named = Effect.map(HttpRouter.params, ({ model: asked = "" }) => {
    const found = data.find(({ id }) => id === asked)
    return found === undefined ? errorResponse(unknownModel(asked, ids)) : HttpServerResponse.jsonUnsafe(found)
  })
  return [
    HttpRouter.route("GET", "/v1/models", HttpServerResponse.jsonUnsafe({ object: "list", data })),
    HttpRouter.route("GET", "/v1/models/:model", named)
  ] as const
}
