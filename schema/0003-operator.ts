/** What the operator reads and does: by conversation, what is dead, who did what, and what was forgotten. */
import { type Kysely, sql } from "kysely"

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db)
}

const statements = [
  // Written when an event is settled, so that accepting it costs no more.
  "create index inbound_settled on inbound (conversation) where fate is not null",
  "create index outbound_conversation on outbound (conversation, seq, index)",
  "create index dead_letter_conversation on dead_letter (conversation, id)",
  "create index dead_letter_open on dead_letter (id) where state = 'open'",
  `alter table outbound
    add column attempts_before integer not null default 0,
    add column renewed_at_ms bigint`,
  `create table audit (
    id bigint generated always as identity primary key,
    at_ms bigint not null,
    operator text not null,
    address text not null,
    action text not null check (action in ('replay', 'discard', 'forget')),
    conversation text not null,
    subject text not null)`,
  "create index audit_conversation on audit (conversation, id)",
  `create table forgotten (
    conversation text primary key,
    seq bigint not null,
    message_seq bigint not null,
    at_ms bigint not null)`
]
