/** What a model may be told before a conversation: the guide answers the same, whatever it is. */
import type { Dice } from "./dice.ts"
import { configKeys } from "./facts.ts"
import { chosen } from "./phrasing.ts"

const preset = configKeys.get("systemPrompt")?.preset ?? ""

const others = [
  "You are (a|an honest|a helpful|a friendly|a polite) (assistant|guide|bot|helper)(.|. Be brief.|. Answer in one sentence.|)",
  "(Answer|Reply) (briefly|honestly|politely|in the language of the user|shortly and clearly)(.| and truthfully.)",
  "You (help|answer) (people|customers|visitors|users) (of a shop|of a school|of our company|on a website|in a chat).",
  "(You are Parley.|Parley's assistant.|Be kind.|Keep answers short.|Never make things up.)",
  "你是(一个|)(有用的|诚实的|友好的|简洁的|)(助手|向导|机器人)(。|\uFF0C请简短回答。|\uFF0C请用用户的语言回答。)",
  "(请|)(简短|诚实|礼貌)(地回答|回答)(用户的问题|)(。|\uFF0C不知道就说不知道。)"
]

/** Half of the dialogues have the configuration's own, some have none. */
export function systemPromptOf(dice: Dice): string | undefined {
  const kind = dice.between(1, 10)
  if (kind <= 5) return preset
  return kind <= 7 ? undefined : chosen(dice, dice.pick(others))
}
