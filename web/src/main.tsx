/** Begins the page. */
import { render } from "preact"
import { Page } from "./page.tsx"
import "./page.css"
import "./message.css"

const place = document.getElementById("page")
if (place !== null) render(<Page />, place)
