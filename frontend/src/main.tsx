import { render } from "preact";
import { App } from "./shell/App";
import "./shell/theme.css";

render(<App />, document.getElementById("app") as HTMLElement);
