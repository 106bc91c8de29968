/**
 * What the embedded server is told at each start. They are not in its files, so a new Parley brings new ones to an old
 * cluster.
 */
export const settings: Readonly<Record<string, string | number>> = {
  // The way in: loopback and a password. A socket's path may have 107 bytes, and data directories have more.
  listen_addresses: "127.0.0.1",
  unix_socket_directories: "",
  max_connections: 32,

  // The contract (DESIGN.md, I1).
  fsync: "on",
  full_page_writes: "on",
  synchronous_commit: "on",

  // The write-ahead log serves recovery and nothing else: nobody replicates from here.
  wal_level: "minimal",
  max_wal_senders: 0,
  max_wal_size: "512MB",
  checkpoint_completion_target: 0.9,

  // Small statements, many of them: no helpers beside the ones that clean up.
  shared_buffers: "64MB",
  huge_pages: "off",
  work_mem: "4MB",
  maintenance_work_mem: "32MB",
  jit: "off",
  io_method: "sync",
  max_worker_processes: 0,
  max_parallel_workers: 0,
  max_parallel_workers_per_gather: 0,
  max_logical_replication_workers: 0,
  autovacuum_worker_slots: 1,
  autovacuum_max_workers: 1,

  // What people wrote must not get into a log: an error of a statement goes to Parley, which knows what to say of it.
  log_min_messages: "log",
  log_checkpoints: "off",
  log_line_prefix: "%m [%p] ",
  log_timezone: "UTC",
  timezone: "UTC"
}
