/** Whether a host is this machine, and nobody else's. */
import { isIPv4 } from "node:net"

export function isLoopbackHost(host: string): boolean {
  return host === "localhost" || host === "::1" || host === "[::1]" || (isIPv4(host) && host.startsWith("127."))
}
