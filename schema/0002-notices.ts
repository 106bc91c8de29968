/** What Parley itself says in a conversation is kept beside what the model said. */
import { type Kysely, sql } from "kysely"

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db)
}

const statements = [
  "alter table message drop constraint message_role_check",
  "alter table message add constraint message_role_check check (role in ('user', 'assistant', 'notice'))"
]
