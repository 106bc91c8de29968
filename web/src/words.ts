/** Every word that the page says, in each language that it speaks. */
import type { Rejection } from "../../src/adapters/web/frames.ts"

export type Language = "en" | "zh"

export const languages: ReadonlyArray<Language> = ["en", "zh"]

export interface Hello {
  readonly title: string
  readonly text: string
  readonly examples: ReadonlyArray<string>
}

export interface Words {
  /** Of the language itself, as its speakers call it. */
  readonly languageName: string
  /** As in the `lang` attribute and in Intl. */
  readonly locale: string
  readonly title: string
  readonly skip: string
  readonly conversations: string
  readonly openList: string
  readonly closeList: string
  readonly newConversation: string
  readonly noConversations: string
  readonly unsentHere: string
  readonly rename: (title: string) => string
  readonly remove: (title: string) => string
  readonly renameTitle: string
  readonly renameLabel: string
  readonly save: string
  readonly cancel: string
  readonly removeTitle: string
  readonly removeText: (title: string) => string
  readonly removeYes: string
  readonly useDark: string
  readonly useLight: string
  readonly logOut: string
  readonly log: string
  readonly you: string
  readonly assistant: string
  readonly notice: string
  readonly writing: string
  readonly composer: string
  readonly placeholder: string
  readonly hint: string
  readonly send: string
  readonly stop: string
  readonly newest: string
  readonly hello: Hello
  /** Where the built-in guide answers: in its own words, and what it answers well. */
  readonly guide: Hello
  readonly connecting: string
  readonly offline: string
  readonly retrying: (seconds: number) => string
  readonly tryNow: string
  readonly waiting: (ahead: number | undefined, waitMs: number | undefined) => string
  /** The model has to be loaded before anybody is answered. */
  readonly loading: (ahead: number | undefined, waitMs: number | undefined) => string
  readonly personTyping: string
  readonly sending: string
  readonly willSend: string
  readonly sent: string
  readonly failed: Readonly<Record<Rejection, string>>
  readonly failedOtherwise: string
  readonly sendAgain: string
  readonly discard: string
  readonly copy: string
  readonly copied: string
  readonly copyFailed: string
  readonly code: string
  readonly showImage: (host: string) => string
  readonly imageFailed: (host: string) => string
  readonly taskDone: string
  readonly taskOpen: string
  readonly today: string
  readonly yesterday: string
}

const en: Words = {
  languageName: "English",
  locale: "en",
  title: "Parley",
  skip: "Skip to the message box",
  conversations: "Conversations",
  openList: "Open the list of conversations",
  closeList: "Close the list of conversations",
  newConversation: "New conversation",
  noConversations: "Your conversations will be listed here, in this browser only.",
  unsentHere: "not sent yet",
  rename: (title) => `Rename “${title}”`,
  remove: (title) => `Delete “${title}” from this list`,
  renameTitle: "Rename conversation",
  renameLabel: "Name",
  save: "Save",
  cancel: "Cancel",
  removeTitle: "Delete from this list?",
  removeText: (title) =>
    `“${title}” goes from the list in this browser, and you cannot open it from here again. The server keeps what was said.`,
  removeYes: "Delete from list",
  useDark: "Dark colours",
  useLight: "Light colours",
  logOut: "Log out",
  log: "Messages",
  you: "You",
  assistant: "Parley",
  notice: "Note",
  writing: "Parley is writing…",
  composer: "Message",
  placeholder: "Write a message…",
  hint: "Enter sends, Shift + Enter starts a new line",
  send: "Send",
  stop: "Stop the answer",
  newest: "Jump to newest",
  hello: {
    title: "Hello! What is on your mind?",
    text: "The answers come from a model on your own server. Ask anything, or begin with one of these:",
    examples: [
      "Explain how vaccines work in simple words",
      "Plan a vegetarian dinner for four",
      "Help me write a polite reminder to a colleague"
    ]
  },
  guide: {
    title: "Welcome",
    text: "Hello! I am Parley's small built-in guide. Ask me how to connect a channel or a larger model.",
    examples: ["How do I use a larger model?", "What does Parley guarantee?", "What is 47 plus 85?"]
  },
  connecting: "Connecting…",
  offline: "Not connected.",
  retrying: (seconds) => `Trying again in ${seconds} s.`,
  tryNow: "Try now",
  waiting: (ahead, waitMs) => {
    const place = ahead === undefined || ahead <= 0 ? "You are next" : `${ahead} ahead of you`
    return waitMs === undefined ? `${place}…` : `${place}, about ${enDuration(waitMs)}`
  },
  loading: (ahead, waitMs) => {
    const place = ahead === undefined || ahead <= 0 ? "" : `, ${ahead} ahead of you`
    return `The model is being loaded${place}${waitMs === undefined ? "…" : `, about ${enDuration(waitMs)}`}`
  },
  personTyping: "Parley waits until you have finished writing…",
  sending: "Sending…",
  willSend: "Will be sent when connected",
  sent: "Sent",
  failed: {
    database: "Not sent: the server cannot store it at the moment.",
    "inbox-full": "Not sent: too many messages are waiting for an answer.",
    stopping: "Not sent: the server is restarting.",
    "too-long": "Not sent: the message is too long.",
    empty: "Not sent: the message is empty."
  },
  failedOtherwise: "Not sent: the server did not accept it.",
  sendAgain: "Send again",
  discard: "Discard",
  copy: "Copy",
  copied: "Copied",
  copyFailed: "Could not copy",
  code: "Code",
  showImage: (host) => `Show image from ${host}`,
  imageFailed: (host) => `The image from ${host} could not be loaded.`,
  taskDone: "Done",
  taskOpen: "To be done",
  today: "Today",
  yesterday: "Yesterday"
}

const zh: Words = {
  languageName: "中文",
  locale: "zh-CN",
  title: "Parley",
  skip: "跳到输入框",
  conversations: "对话",
  openList: "打开对话列表",
  closeList: "关闭对话列表",
  newConversation: "新对话",
  noConversations: "你的对话会列在这里，只保存在这个浏览器中。",
  unsentHere: "尚未发送",
  rename: (title) => `重命名“${title}”`,
  remove: (title) => `从列表中删除“${title}”`,
  renameTitle: "重命名对话",
  renameLabel: "名称",
  save: "保存",
  cancel: "取消",
  removeTitle: "从列表中删除？",
  removeText: (title) => `“${title}”将从这个浏览器的列表中移除，之后无法再从这里打开。服务器上的内容不会被删除。`,
  removeYes: "从列表中删除",
  useDark: "深色",
  useLight: "浅色",
  logOut: "退出登录",
  log: "消息",
  you: "你",
  assistant: "Parley",
  notice: "提示",
  writing: "Parley 正在书写…",
  composer: "消息",
  placeholder: "写一条消息…",
  hint: "按 Enter 发送，Shift + Enter 换行",
  send: "发送",
  stop: "停止回答",
  newest: "跳到最新消息",
  hello: {
    title: "你好！今天想聊些什么？",
    text: "回答来自你自己服务器上的模型。随便问，或从下面选一个开始：",
    examples: ["用简单的话解释疫苗的原理", "为四个人安排一顿素食晚餐", "帮我给同事写一封礼貌的提醒"]
  },
  guide: {
    title: "欢迎",
    text: "你好！我是 Parley 内置的小向导。可以问我怎么接入渠道，或者换更大的模型。",
    examples: ["怎么用更大的模型？", "Parley 有哪些保证？", "47 加 85 等于多少？"]
  },
  connecting: "正在连接…",
  offline: "未连接。",
  retrying: (seconds) => `${seconds} 秒后重试。`,
  tryNow: "立即重试",
  waiting: (ahead, waitMs) => {
    const place = ahead === undefined || ahead <= 0 ? "下一个就是你" : `前面还有 ${ahead} 个`
    return waitMs === undefined ? `${place}…` : `${place}，大约 ${zhDuration(waitMs)}`
  },
  loading: (ahead, waitMs) => {
    const place = ahead === undefined || ahead <= 0 ? "" : `，前面还有 ${ahead} 个`
    return `正在加载模型${place}${waitMs === undefined ? "…" : `，大约 ${zhDuration(waitMs)}`}`
  },
  personTyping: "Parley 在等你写完…",
  sending: "正在发送…",
  willSend: "连接后发送",
  sent: "已发送",
  failed: {
    database: "未发送：服务器暂时无法保存。",
    "inbox-full": "未发送：等待回答的消息太多。",
    stopping: "未发送：服务器正在重启。",
    "too-long": "未发送：消息太长。",
    empty: "未发送：消息为空。"
  },
  failedOtherwise: "未发送：服务器没有接受。",
  sendAgain: "重新发送",
  discard: "丢弃",
  copy: "复制",
  copied: "已复制",
  copyFailed: "无法复制",
  code: "代码",
  showImage: (host) => `显示来自 ${host} 的图片`,
  imageFailed: (host) => `无法加载来自 ${host} 的图片。`,
  taskDone: "已完成",
  taskOpen: "未完成",
  today: "今天",
  yesterday: "昨天"
}

export const words: Readonly<Record<Language, Words>> = { en, zh }

/** The first language of the person that the page speaks; English when it speaks none. */
export function languageOf(wanted: ReadonlyArray<string>): Language {
  const spoken = wanted.map((tag) => tag.toLowerCase().split("-")[0])
  return (
    languages.find((language) => language === spoken.find((one) => languages.some((known) => known === one))) ?? "en"
  )
}

/** As the person's own browser writes times in that language: `en-GB` is not `en-US`. */
export function wordsFor(language: Language, ofBrowser: ReadonlyArray<string>): Words {
  const own = ofBrowser.find((tag) => tag.toLowerCase().split("-")[0] === language)
  return own === undefined ? words[language] : { ...words[language], locale: own }
}

const enDuration = (ms: number) => (ms < 90_000 ? `${secondsOf(ms)} s` : `${Math.round(ms / 60_000)} min`)
const zhDuration = (ms: number) => (ms < 90_000 ? `${secondsOf(ms)} 秒` : `${Math.round(ms / 60_000)} 分钟`)
/** In steps of five when it is long: an estimate is not more exact, and a screen reader reads each change. */
function secondsOf(ms: number): number {
  const seconds = Math.max(1, Math.round(ms / 1_000))
  return seconds > 10 ? Math.round(seconds / 5) * 5 : seconds
}
