/** The page that asks for the token: a form that works without a script, in English and Chinese. */
import { createHash } from "node:crypto"

const words = {
  en: {
    lang: "en",
    title: "Log in to Parley",
    label: "Token",
    hint: "The operator of this server has it: it is PARLEY_TOKEN.",
    button: "Log in",
    wrong: "This token is not the right one. Look for missing or extra characters, and try again.",
    limited: "Too many wrong tokens came from your network. Wait a minute, then try again."
  },
  zh: {
    lang: "zh-Hans",
    title: "登录 Parley",
    label: "令牌",
    hint: "向本服务器的管理员索取，即 PARLEY_TOKEN 的值。",
    button: "登录",
    wrong: "令牌不正确。请检查是否多了或少了字符，然后重试。",
    limited: "您所在的网络多次输入了错误的令牌。请一分钟后再试。"
  }
} as const

export type Language = keyof typeof words

const style = `:root{color-scheme:light dark;--edge:light-dark(#6b7280,#8b93a1);--error:light-dark(#b42318,#ff9d91)}
*{box-sizing:border-box}
body{margin:0;min-height:100vh;display:grid;place-items:center;padding:1.5rem;
font:1rem/1.5 system-ui,sans-serif;color:light-dark(#1c2024,#e6e8eb);background:light-dark(#f7f8fa,#15181c)}
main{width:100%;max-width:22rem}
h1{font-size:1.5rem;line-height:1.25;margin:0 0 1.5rem}
label{display:block;font-weight:600}
p{margin:.25rem 0 1rem}
input,button{width:100%;min-height:2.75rem;padding:.5rem .75rem;font:inherit;border-radius:.5rem}
input{color:inherit;background:light-dark(#fff,#1f2429);border:1px solid var(--edge)}
button{font-weight:600;color:light-dark(#fff,#10131a);background:light-dark(#2348a8,#9db8ff);border:0;
margin-top:1rem;cursor:pointer}
input:focus-visible,button:focus-visible{outline:3px solid light-dark(#2348a8,#9db8ff);outline-offset:2px}
[role=alert]{color:var(--error);font-weight:600}`

const styleHash = createHash("sha256").update(style).digest("base64")

/** Its only style is the one of this file, by its digest. */
export const loginPolicy = [
  "default-src 'none'",
  `style-src 'sha256-${styleHash}'`,
  "img-src data:",
  "base-uri 'none'",
  "form-action 'self'",
  "frame-ancestors 'none'"
].join("; ")

export function loginPage(language: Language, trouble?: "wrong" | "limited"): string {
  const { button, hint, label, lang, title, ...troubles } = words[language]
  const isWrong = trouble === "wrong"
  const alert = trouble === undefined ? "" : `<p id="trouble" role="alert">${troubles[trouble]}</p>\n`
  const described = trouble === undefined ? "hint" : "trouble hint"
  return `<!doctype html>
<html lang="${lang}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>${title}</title>
<link rel="icon" href="data:,">
<style>${style}</style>
</head>
<body>
<main>
<h1>${title}</h1>
${alert}<form method="post" action="/login">
<input name="username" value="parley" autocomplete="username" hidden>
<label for="token">${label}</label>
<p id="hint">${hint}</p>
<input id="token" name="token" type="password" autocomplete="current-password" autocapitalize="none" spellcheck="false"
 required autofocus aria-describedby="${described}"${isWrong ? ' aria-invalid="true"' : ""}>
<button>${button}</button>
</form>
</main>
</body>
</html>
`
}

/** The first of the languages that the page has, in the order of the reader's wishes (RFC 9110 §12.5.4). */
export function languageOf(acceptLanguage: string): Language {
  const wishes = acceptLanguage.split(",").flatMap((part) => {
    const [, tag, weight] = /^\s*([a-z]{1,8})(?:-[a-z0-9-]*)?\s*(?:;\s*q=([0-9.]+))?\s*$/i.exec(part) ?? []
    const language = tag?.toLowerCase()
    return language === "en" || language === "zh" ? [{ language, weight: Number(weight ?? 1) } as const] : []
  })
  const best = wishes.reduce((found, wish) => (wish.weight > found.weight ? wish : found), {
    language: "en",
    weight: 0
  } as (typeof wishes)[number])
  return best.language
}
