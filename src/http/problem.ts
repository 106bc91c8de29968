/** Errors as clients of all routes see them: `{"error": {"code", "message"}}`. */
import * as HttpServerResponse from "effect/http/HttpServerResponse"

export function problem(
  status: number,
  code: string,
  message: string,
  headers: Readonly<Record<string, string>> = {}
): HttpServerResponse.HttpServerResponse {
  return HttpServerResponse.jsonUnsafe({ error: { code, message } }, { status, headers })
}

export const notFound = problem(404, "not_found", "There is nothing here.")
