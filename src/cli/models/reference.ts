/** What was typed after `parley models pull`: a file of a Hugging Face repository, or an address. */
import * as Result from "effect/Result"
import { isLoopbackHost } from "../loopback-host.ts"

export type Reference =
  | {
      readonly type: "hub"
      /** `user/name` */
      readonly repo: string
      /** A quantisation, or the path of a file in the repository. */
      readonly wanted: string | undefined
    }
  | { readonly type: "address"; readonly url: URL }

const hubForm = /^hf:([\w.-]{1,96}\/[\w.-]{1,96})(?::([\w./+-]{1,200}))?$/

/** A failure is a sentence for whoever typed it; it never shows an address with a password in it. */
export function parseReference(typed: string): Result.Result<Reference, string> {
  if (typed.startsWith("hf:")) {
    const [, repo, wanted] = hubForm.exec(typed) ?? []
    if (repo === undefined) return Result.fail(`\`${shown(typed)}\` is not of the form hf:user/repo:QUANT`)
    return Result.succeed({ type: "hub", repo, wanted })
  }
  const url = URL.parse(typed)
  if (url?.protocol !== "https:" && url?.protocol !== "http:") {
    return Result.fail(`\`${shown(typed)}\` is neither hf:user/repo:QUANT nor the https address of a GGUF file`)
  }
  const problem = addressProblem(url)
  return problem === undefined ? Result.succeed({ type: "address", url }) : Result.fail(problem)
}

/** What keeps an address from being asked. The bytes of a model are code's equal: nobody may change them on the way. */
export function addressProblem(url: URL): string | undefined {
  const { hostname, password, protocol, username } = url
  if (`${username}${password}` !== "")
    return "an address with a user name or password in it is not asked: leave them out"
  if (protocol === "https:" || (protocol === "http:" && isLoopbackHost(hostname))) return undefined
  return `${url.origin} is not asked: use https (http is for this machine only)`
}

/** Without the query, in which storage providers put keys. */
export function addressText(url: URL): string {
  return `${url.origin}${url.pathname}`
}

/** The name that a file of this address or path gets here; undefined when it says none. */
export function fileNameOf(path: string): string | undefined {
  const name = Result.getOrElse(
    Result.try(() => decodeURIComponent(path.split("/").at(-1) ?? "")),
    () => ""
  )
  return /^[\w][\w.+-]{0,199}\.gguf$/i.test(name) ? name : undefined
}

const shown = (text: string) => text.slice(0, 80).replace(/\p{C}/gu, "?")
