/** Begins the page. */
import { render } from "preact"
import { Page } from "./page.tsx"
import "./page.css"
import "./side-list.css"
import "./dialogs.css"
import "./chat.css"
import "./message.css"
import "./prose.css"
import "./composer.css"

const place = document.getElementById("page")
if (place !== null) render(<Page />, place)
