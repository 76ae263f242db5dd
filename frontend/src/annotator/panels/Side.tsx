/** The panel beside the tile: what is painted, with what, and how it all looks. */
import { useEffect } from "preact/hooks";
import type { Context } from "../commands";
import { Cleaning } from "./Cleaning";
import { CommandButton } from "./CommandButton";
import { Guideline } from "./Guideline";
import { Labels } from "./Labels";
import { ImageLooks, OverlayLooks } from "./Looks";
import { Prelabel } from "./Prelabel";
import { Section } from "./Section";
import { ThisTile } from "./ThisTile";
import { Protect, ToolOptions } from "./ToolOptions";
import { Uncertainty } from "./Uncertainty";
import { releaseFocus } from "./focus";
import "./panels.css";
import { followProbability } from "./probability";

/** Scrolls by itself; every part can be folded away. */
export function Side({ context }: { context: Context }) {
  const { bench } = context;
  useEffect(() => followProbability(bench), [bench]);
  return (
    <aside class="side" aria-label="Labels and settings" onClick={releaseFocus}>
      <Section name="labels" title="Labels" open>
        <Labels bench={bench} />
      </Section>
      <Section name="tool" title="Tool" open>
        <ToolOptions bench={bench} />
      </Section>
      <Section name="protect" title="Protect" open>
        <Protect bench={bench} />
      </Section>
      <Section name="prelabel" title="Pre-label" open={bench.sheet.prelabel !== null}>
        <Prelabel context={context} />
      </Section>
      <Section name="image" title="Image">
        <ImageLooks bench={bench} />
      </Section>
      <Section name="overlay" title="Overlay">
        <OverlayLooks />
      </Section>
      <Section name="uncertainty" title="Uncertainty">
        <Uncertainty context={context} />
      </Section>
      <Section name="cleaning" title="Clean up">
        <Cleaning context={context} />
      </Section>
      <Section name="guideline" title="Guideline">
        <Guideline bench={bench} />
      </Section>
      <Section name="tile" title="This tile">
        <ThisTile bench={bench} />
        <p>
          <CommandButton id="tile.release" context={context} />
        </p>
      </Section>
    </aside>
  );
}
