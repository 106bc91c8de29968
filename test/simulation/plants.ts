/** Bugs that the checker must find, each a promise broken by something between production parts, never in src/. */
import { inboundPlants } from "./plants-inbound.ts"
import { outboundPlants } from "./plants-outbound.ts"
import { processingPlants } from "./plants-processing.ts"
import { storePlants } from "./plants-store.ts"
import type { Plant } from "./simulate.ts"

export interface PlantedBug extends Plant {
  /** What is found must be one of these. */
  readonly breaks: ReadonlyArray<string>
  /** The first seed that a test tries, where those before it do not find it. */
  readonly from?: number
}

export const plantedBugs = { ...inboundPlants, ...processingPlants, ...outboundPlants, ...storePlants } as const
