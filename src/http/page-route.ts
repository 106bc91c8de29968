/** What no other route is for: the page and its files, and what to say of everything that is not there. */
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import { notFound, problem } from "./problem.ts"
import { type NoPage, type StaticFiles, serveFile } from "./static-files.ts"

/** The methods of the other routes, for those who use a wrong one. */
const methods: Readonly<Record<string, string>> = {
  "/login": "GET, HEAD, POST",
  "/logout": "POST",
  "/api/session": "GET, HEAD",
  "/metrics": "GET, HEAD",
  "/health/live": "GET, HEAD",
  "/health/ready": "GET, HEAD"
}

export const pageRoutes = (page: StaticFiles | NoPage) => {
  const files: StaticFiles = page instanceof Map ? page : new Map()
  const answer = Effect.gen(function* () {
    const request = yield* HttpServerRequest.HttpServerRequest
    const [path = ""] = request.url.split("?")
    const isRead = request.method === "GET" || request.method === "HEAD"
    const file = files.get(path)
    if (file !== undefined && isRead) return yield* serveFile(file, request.headers)
    const allow = file !== undefined || path === "/" ? "GET, HEAD" : methods[path]
    if (allow !== undefined && !allow.split(", ").includes(request.method)) return notAllowed(allow)
    return "reason" in page && path === "/" ? problem(503, "no_page", page.reason) : notFound
  })
  // Not HEAD: it would be found here before the GET of another route.
  return (["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] as const).map((method) =>
    HttpRouter.add(method, "*", answer)
  )
}

function notAllowed(allow: string) {
  return problem(405, "method_not_allowed", `This address takes ${allow} only.`, { allow })
}
