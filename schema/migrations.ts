/** Every migration, in order. They only go forward: a later Parley refuses nothing an earlier one wrote. */
import type { Migration } from "kysely/migration"
import * as spine from "./0001-spine.ts"
import * as notices from "./0002-notices.ts"
import * as operator from "./0003-operator.ts"

export const migrations: Readonly<Record<string, Migration>> = {
  "0001-spine": spine,
  "0002-notices": notices,
  "0003-operator": operator
}
