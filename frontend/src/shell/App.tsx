/** The frame: who is signed in, where they are, and the room that belongs there. */
import { useEffect } from "preact/hooks";
import { Annotator } from "../annotator/Annotator";
import { Practice } from "../practice/Practice";
import { Review } from "../review/Review";
import { Boundary } from "./Boundary";
import { Bar } from "./Bar";
import { Door } from "./Door";
import { lazily } from "./lazily";
import { Projects } from "./Projects";
import { followLinks, path } from "./router";
import { me, recognise } from "./session";
import { Settings } from "./Settings";
import { Confirmation } from "../widgets/confirm";
import { complain, Toasts } from "./toasts";

// half of the page, which people who paint never open
const Dashboard = lazily(async () => (await import("../dashboard/Dashboard")).Dashboard);

/** The whole page. */
export function App() {
  useEffect(() => {
    recognise().catch(complain);
    document.addEventListener("click", followLinks);
    return () => document.removeEventListener("click", followLinks);
  }, []);
  return (
    <>
      <a class="skip" href="#main">
        Skip to the content
      </a>
      <Bar />
      <Boundary>
        <Room />
      </Boundary>
      <Confirmation />
      <Toasts />
    </>
  );
}

function Room() {
  const person = me.value;
  if (person === undefined) return <main id="main" class="quiet" aria-busy="true" />;
  if (person === null) return <Door />;
  const [first, slug, room] = path.value;
  if (first === "settings") return <Settings me={person} />;
  if (first !== "projects" || slug === undefined) return <Projects me={person} />;
  // the slug is the key: another project is another room
  if (room === "annotate") return <Annotator key={slug} slug={slug} me={person} />;
  if (room === "practice") return <Practice key={slug} slug={slug} />;
  if (room === "review") return <Review key={slug} slug={slug} me={person} />;
  return <Dashboard key={slug} slug={slug} tab={room ?? "overview"} me={person} />;
}
