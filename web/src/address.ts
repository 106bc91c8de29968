/** Where a link or an image of a model may point to: to the web, and to nothing that runs or is of this server. */

const linkSchemes = ["http:", "https:", "mailto:"]
const imageSchemes = ["http:", "https:"]
const addressMax = 2_048

export const linkAddress = (url: string | undefined): string | undefined => absolute(url, linkSchemes)?.href

export function imageAddress(url: string | undefined): { readonly src: string; readonly host: string } | undefined {
  const address = absolute(url, imageSchemes)
  return address && { src: address.href, host: address.host }
}

/** Read as a browser reads it, which leaves out the tabs and line breaks that hide a scheme from a pattern. */
function absolute(url: string | undefined, schemes: ReadonlyArray<string>): URL | undefined {
  if (url === undefined || url.length > addressMax || !URL.canParse(url)) return undefined
  const address = new URL(url)
  return schemes.includes(address.protocol) ? address : undefined
}
