/** A byte-level BPE vocabulary, trained on the text below: the tokenizer of the random model. */
import { byteCharacters } from "../src/inference/byte-alphabet.ts"

export interface Vocabulary {
  /** By id, in GPT-2's alphabet. */
  readonly tokens: ReadonlyArray<string>
  /** As GGUF numbers them: 1 is text, 3 steers and has no text. */
  readonly types: ReadonlyArray<number>
  /** Two tokens that become one, the most frequent first. */
  readonly merges: ReadonlyArray<string>
  readonly special: Readonly<Record<SpecialName, number>>
}

export type SpecialName = (typeof specialNames)[number]
const specialNames = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"] as const

export function trainVocabulary(): Vocabulary {
  const merges = trainMerges(corpus)
  const text = [...new Set([...byteCharacters, ...merges.map((merge) => merge.replace(" ", ""))])]
  const idOf = (nth: number) => text.length + nth
  return {
    tokens: [...text, ...specialNames],
    types: [...text.map(() => 1), ...specialNames.map(() => 3)],
    merges,
    special: { "<|endoftext|>": idOf(0), "<|im_start|>": idOf(1), "<|im_end|>": idOf(2) }
  }
}

/** With words that no text is read as, but that a model may say, until there are `size` tokens. */
export function padded({ special, tokens, types, ...rest }: Vocabulary, size: number): Vocabulary {
  const more = Array.from({ length: Math.max(0, size - tokens.length) }, (_, nth) => `Ġw${nth}`)
  return { ...rest, special, tokens: [...tokens, ...more], types: [...types, ...more.map(() => 1)] }
}

function trainMerges(text: string): ReadonlyArray<string> {
  const counts = new Map<string, number>()
  for (const [word] of text.matchAll(/ ?\p{L}+| ?\p{N}| ?[^\s\p{L}\p{N}]+|\s+/gu)) {
    counts.set(word, (counts.get(word) ?? 0) + 1)
  }
  const words = [...counts].map(([word, count]) => ({ count, parts: charactersOf(word) }))
  const merges: Array<string> = []
  for (let best = mostFrequentPair(words); best !== undefined; best = mostFrequentPair(words)) {
    merges.push(best)
    for (const { parts } of words) mergeIn(parts, best)
  }
  return merges
}

function mostFrequentPair(words: Iterable<{ readonly count: number; readonly parts: ReadonlyArray<string> }>) {
  const counts = new Map<string, number>()
  for (const { count, parts } of words) {
    for (let i = 0; i + 1 < parts.length; i++) {
      const pair = `${parts[i]} ${parts[i + 1]}`
      counts.set(pair, (counts.get(pair) ?? 0) + count)
    }
  }
  // A pair that was seen once teaches nothing.
  let best: string | undefined
  let bestCount = 1
  for (const [pair, count] of counts) if (count > bestCount) [best, bestCount] = [pair, count]
  return best
}

function mergeIn(parts: Array<string>, pair: string): void {
  for (let i = 0; i + 1 < parts.length; i++) {
    if (`${parts[i]} ${parts[i + 1]}` === pair) parts.splice(i, 2, pair.replace(" ", ""))
  }
}

function charactersOf(text: string): Array<string> {
  return [...Buffer.from(text, "utf8")].map((byte) => byteCharacters[byte]!)
}

const corpus = [
  "Parley is an assistant server that you run on your own machine. People write to it from the messengers they",
  "already use, and a model that runs on the same machine answers. What was accepted is answered, once, and in order, whatever",
  "crashes in between. Hello! How are you? I am well, thank you, and what can I do for you today? I can tell you what I know, and I",
  "will say so when I do not know. The capital of France is Paris, and the capital of China is Beijing. There are seven days in a",
  "week: Monday, Tuesday, Wednesday, Thursday, Friday, Saturday and Sunday. One and two are three; three and four are seven. The",
  "morning was quiet, and the people in the town were still asleep when the first train came over the bridge. They had been waiting",
  'for the letter, and when the letter came they read it again and again. "Where are you going?" she said. "I am going home," he',
  'said, "and you should come with me." Water boils at one hundred degrees. A queue that is full refuses at once, and says when to',
  "try again. The quick brown fox jumps over the lazy dog. Some things are better said than written, and some are better written",
  "than said. This is the answer to the question that you asked. Please write to me when you have the time.",
  "你好!我是一个助手,可以回答你的问题。今天的天气很好,我们去公园走走吧。中国的首都是北京,法国的首都是巴黎。一个星期有七天。",
  "我不知道这个问题的答案,请你再说一次。谢谢你的来信,我们会在今天回答你。他们在火车上看书,我们在家里写信。水在一百度的时候会开。",
  "你好吗?我很好,谢谢你。你可以在这里写下你的问题,我会回答你的问题。"
].join("\n")
