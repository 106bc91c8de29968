/** What Parley itself says to a person, in the language that the person writes. */
import type { InferenceFailure } from "../machines/conversation.ts"

export type Language = "en" | "zh"

export interface Notices {
  /** Of a queue that is full; `waitMs` is how long it is expected to be. */
  readonly busy: (waitMs: number | undefined) => string
  /** Of a model that is given up for a while; without `waitMs`, until the operator has mended it. */
  readonly down: (waitMs: number | undefined) => string
  readonly failed: Readonly<Record<Exclude<InferenceFailure, "busy" | "down"> | "overdue", string>>
  readonly stopped: string
  /** The model said nothing. */
  readonly nothing: string
  readonly unreadable: string
}

/** Chinese has Han characters and neither kana nor hangul; everybody else reads English. */
export function languageOf(text: string): Language {
  if (/[\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}]/u.test(text)) return "en"
  return /\p{Script=Han}/u.test(text) ? "zh" : "en"
}

const secondsOf = (ms: number) => Math.max(1, Math.ceil(ms / 1_000))
const isShort = (ms: number) => secondsOf(ms) <= 90
const minutesOf = (ms: number) => Math.ceil(ms / 60_000)
const enDuration = (ms: number) => (isShort(ms) ? `${secondsOf(ms)} s` : `${minutesOf(ms)} min`)
const zhDuration = (ms: number) => (isShort(ms) ? `${secondsOf(ms)} 秒` : `${minutesOf(ms)} 分钟`)

export const notices: Readonly<Record<Language, Notices>> = {
  en: {
    busy: (waitMs) =>
      `I am full: too many people are asking just now. Please ask again in about ${enDuration(waitMs ?? 60_000)}.`,
    down: (waitMs) =>
      waitMs === undefined
        ? "The model that answers here is out of order. Please tell the operator."
        : `The model that answers here is out of order. Please ask again in about ${enDuration(waitMs)}.`,
    failed: {
      broken: "The model failed while it answered. Please ask again; if it happens twice, tell the operator.",
      "too-long": "That is longer than the model can read at once. Please ask about a shorter text.",
      overdue: "The model has not finished in time, so I gave up. Please ask again."
    },
    stopped: "Stopped.",
    nothing: "The model had nothing to say to that. Please ask in other words.",
    unreadable: "I could not read that message. It was kept for the operator."
  },
  zh: {
    busy: (waitMs) => `现在问的人太多，我忙不过来了。请大约 ${zhDuration(waitMs ?? 60_000)}后再问。`,
    down: (waitMs) =>
      waitMs === undefined
        ? "这里的模型出故障了。请告诉管理员。"
        : `这里的模型出故障了。请大约 ${zhDuration(waitMs)}后再问。`,
    failed: {
      broken: "模型回答时出错了。请再问一次；如果又这样，请告诉管理员。",
      "too-long": "这段内容太长，模型一次读不完。请换短一点的再问。",
      overdue: "模型没有按时答完，所以我放弃了。请再问一次。"
    },
    stopped: "已停止。",
    nothing: "模型对此没有可说的。请换个说法再问。",
    unreadable: "我没能读懂这条消息。已为管理员保留。"
  }
}
