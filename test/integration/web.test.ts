/** The web chat: the conformance kit. */
import { conformance } from "./conformance.ts"
import { webHarness } from "./web-bench.ts"

conformance("web", { harness: webHarness(), isHttp: false, isPulled: true })
