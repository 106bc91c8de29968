/** GPT-2's alphabet: printable Latin-1 stands for itself, every other byte for a character from U+0100 on. */
export const byteCharacters: ReadonlyArray<string> = (() => {
  let next = 256
  return Array.from({ length: 256 }, (_, byte) => {
    const isPrintable = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174
    return String.fromCodePoint(isPrintable ? byte : next++)
  })
})()

const byteOf = new Map(byteCharacters.map((character, byte) => [character, byte]))

/** Undefined when some character is not of the alphabet. */
export function bytesOfCharacters(text: string): Uint8Array | undefined {
  const bytes = [...text].map((character) => byteOf.get(character))
  return bytes.every((byte) => byte !== undefined) ? Uint8Array.from(bytes) : undefined
}
