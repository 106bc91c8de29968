/**
 * How a model that only writes text calls a tool: a line of JSON between two marks. Many models were trained on these
 * marks, and whoever was not is told of them (and held to them by a grammar).
 */
import type { ChatMessage, ToolUse } from "../engine.ts"

export const callStart = "<tool_call>"
export const callEnd = "</tool_call>"

/** Messages with what they call and were answered, as plain ones that any chat template takes. */
export function withTools(messages: ReadonlyArray<ChatMessage>, toolUse: ToolUse | undefined) {
  const plain = messages.reduce(joinResults, []).map(({ content, role }) => ({ role, content }))
  if (toolUse === undefined) return plain
  const [first, ...others] = plain
  const told = toolsText(toolUse)
  if (first?.role !== "system") return [{ role: "system" as const, content: told }, ...plain]
  return [{ role: first.role, content: `${first.content}\n\n${told}` }, ...others]
}

/** Results that came together are one message: templates want the roles to take turns. */
function joinResults(
  done: ReadonlyArray<ChatMessage>,
  message: ChatMessage,
  index: number,
  all: ReadonlyArray<ChatMessage>
) {
  if (message.role !== "tool") return [...done, { role: message.role, content: saidText(message) }]
  const result = `<tool_response>\n${message.content}\n</tool_response>`
  const last = done.at(-1)
  if (all[index - 1]?.role !== "tool" || last === undefined)
    return [...done, { role: "user" as const, content: result }]
  return [...done.slice(0, -1), { ...last, content: `${last.content}\n${result}` }]
}

function saidText({ calls = [], content }: ChatMessage): string {
  const texts = calls.map((call) => `${callStart}\n${callHead(call.name)}${call.arguments}}\n${callEnd}`)
  return [...(content === "" ? [] : [content]), ...texts].join("\n")
}

/** What stands before the arguments. */
export function callHead(name: string): string {
  return `{"name": ${JSON.stringify(name)}, "arguments": `
}

function toolsText({ choice, isParallel, tools }: ToolUse): string {
  const listed = tools.map(({ description, name, parameters }) =>
    JSON.stringify({ type: "function", function: { name, description, parameters } })
  )
  const must = typeof choice === "object" ? `Call ${choice.name} now.` : choice === "required" ? "Call one now." : ""
  const often = isParallel ? "Calls may follow each other." : "Call at most one."
  return [
    `# Tools\n\nThese functions can be called:\n<tools>\n${listed.join("\n")}\n</tools>`,
    `To call one, write its name and its arguments as JSON, each call in this form:`,
    `${callStart}\n{"name": "the name", "arguments": {}}\n${callEnd}`,
    `The results come in <tool_response></tool_response>. ${often} ${must}`.trimEnd()
  ].join("\n\n")
}
