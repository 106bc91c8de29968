/** How tokens are chosen in a channel: what the configuration says, and who comes first. */
import { expect, test } from "vitest"
import { samplingOf } from "../../src/channels.ts"

const model = { name: "m", engine: "llama", file: "a.gguf", slots: 1, contextTokens: 512 } as const

test("the channel's sampling comes before the model's, and that before ours", () => {
  const sampling = { temperature: 0.2, topK: 7 }
  expect(samplingOf({ models: [model] }, { model: undefined, sampling: undefined })).toEqual({ temperature: 0.7 })
  const other = { ...model, name: "n", sampling: { topP: 0.5 } }
  const answering = (name: string) => samplingOf({ models: [model, other] }, { model: name, sampling: undefined })
  expect(answering("n")).toEqual({ temperature: 0.7, topP: 0.5 })
  expect(answering("m")).toEqual({ temperature: 0.7 })
  // The guide has one answer to each question.
  expect(samplingOf({ models: [] }, { model: undefined, sampling: undefined })).toEqual({ temperature: 0 })
  expect(samplingOf({ models: [{ ...model, sampling }] }, { model: undefined, sampling: undefined })).toEqual(sampling)
  expect(samplingOf({ models: [{ ...model, sampling }] }, { model: undefined, sampling: { temperature: 0 } })).toEqual({
    temperature: 0,
    topK: 7
  })
})
