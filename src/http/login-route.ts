/** `/login`, `/logout`, `/api/session`: the token becomes a cookie, and goes again. */
import * as ByteSize from "effect/ByteSize"
import * as Effect from "effect/Effect"
import * as HttpIncomingMessage from "effect/http/HttpIncomingMessage"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import type { Guard } from "./guard.ts"
import { guarded } from "./guard-middleware.ts"
import { languageOf, loginPage, loginPolicy } from "./login-page.ts"
import { problem } from "./problem.ts"
import { logoutCookie } from "./session-cookie.ts"

const formMaxBytes = 4096

/** `model` is what answers in the page; `built-in` is the guide. */
export const loginRoutes = (guard: Guard, model: string) =>
  [
    HttpRouter.add("GET", "/login", showLogin(guard)),
    HttpRouter.add("POST", "/login", login(guard)),
    HttpRouter.add("POST", "/logout", seeOther("/login", { "set-cookie": logoutCookie })),
    // The guard has let through whoever is here.
    HttpRouter.add("GET", "/api/session", HttpServerResponse.jsonUnsafe({ login: guard.hasToken, model }))
  ] as const

const showLogin = (guard: Guard) =>
  Effect.gen(function* () {
    const request = yield* guarded
    if (guard.isLoggedIn(request)) return seeOther("/")
    const isStale = request.headers["cookie"] !== undefined
    return yield* page(200, undefined, isStale ? { "set-cookie": logoutCookie } : {})
  })

const login = (guard: Guard) =>
  Effect.gen(function* () {
    if (!guard.hasToken) return seeOther("/")
    const request = yield* HttpServerRequest.HttpServerRequest
    const type = request.headers["content-type"] ?? ""
    if (!/^application\/x-www-form-urlencoded\s*(;|$)/i.test(type)) return notAForm
    if (Number(request.headers["content-length"] ?? 0) > formMaxBytes) return tooLarge
    const body = yield* Effect.option(request.text)
    if (body._tag === "None") return tooLarge
    const typed = new URLSearchParams(body.value).get("token") ?? ""
    const outcome = guard.login(yield* guarded, typed.trim())
    if (outcome.result === "right") return seeOther("/", { "set-cookie": outcome.cookie })
    if (outcome.result === "wrong") return yield* page(401, "wrong")
    return yield* page(429, "limited", { "retry-after": String(outcome.retryAfterS) })
  }).pipe(Effect.provideService(HttpIncomingMessage.MaxBodySize, ByteSize.bytes(formMaxBytes)))

const page = Effect.fnUntraced(function* (
  status: 200 | 401 | 429,
  trouble?: "wrong" | "limited",
  headers: Readonly<Record<string, string>> = {}
) {
  const request = yield* HttpServerRequest.HttpServerRequest
  const language = languageOf(request.headers["accept-language"] ?? "")
  return HttpServerResponse.text(loginPage(language, trouble), {
    status,
    contentType: "text/html; charset=utf-8",
    headers: { "content-security-policy": loginPolicy, vary: "accept-language", ...headers }
  })
})

function seeOther(location: string, headers: Readonly<Record<string, string>> = {}) {
  return HttpServerResponse.empty({ status: 303, headers: { location, ...headers } })
}

const notAForm = problem(415, "not_a_form", "Send application/x-www-form-urlencoded, as the form at /login does.")

const tooLarge = problem(413, "too_large", `The form is longer than ${formMaxBytes} bytes.`, { connection: "close" })
