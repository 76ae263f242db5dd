/** Files that were chosen or dropped, and what is said of them before they go. */
import { signal } from "@preact/signals";
import { useState } from "preact/hooks";
import { complain } from "../../shell/toasts";
import { type About, add } from "./sending";
import { bytesInWords, SPLITS } from "./words";

interface Chosen {
  readonly project: string;
  readonly file: File;
  readonly about: About;
}

const chosen = signal<readonly Chosen[]>([]);
const defaults = signal<About>({ name: "", pixel_nm: "", donor: "", group: "", split: "pool" });

/** Where files are dropped or chosen, described, and sent on their way. */
export function Staging({ slug }: { slug: string }) {
  const [over, setOver] = useState(false);
  const own = chosen.value.filter((one) => one.project === slug);

  function take(files: Iterable<File>) {
    for (const file of files) {
      if (!/\.(png|tiff?)$/i.test(file.name)) complain(`${file.name} is no PNG or TIFF file.`);
      else chosen.value = [...chosen.value, { project: slug, file, about: { ...defaults.value, name: file.name } }];
    }
  }

  function send(event: SubmitEvent) {
    event.preventDefault();
    chosen.value = chosen.value.filter((one) => one.project !== slug);
    for (const { file, about } of own) add(slug, file, about);
  }

  /** What is said of all files from now on is said of those already here, too. */
  function sayOfAll(changes: Partial<About>) {
    defaults.value = { ...defaults.value, ...changes };
    say((one) => one.project === slug, changes);
  }

  function say(of: (one: Chosen) => boolean, changes: Partial<About>) {
    chosen.value = chosen.value.map((one) => (of(one) ? { ...one, about: { ...one.about, ...changes } } : one));
  }

  return (
    <section aria-label="Upload">
      <label
        class={over ? "drop over" : "drop"}
        onDragOver={(event) => {
          event.preventDefault();
          setOver(true);
        }}
        onDragLeave={() => setOver(false)}
        onDrop={(event) => {
          event.preventDefault();
          setOver(false);
          take(event.dataTransfer?.files ?? []);
        }}
      >
        <span>Drop PNG or TIFF files here, or choose them:</span>
        <input
          type="file"
          multiple
          accept=".png,.tif,.tiff"
          onChange={(event) => {
            take(event.currentTarget.files ?? []);
            // else the same file could not be chosen again
            event.currentTarget.value = "";
          }}
        />
      </label>
      {own.length > 0 && (
        <form class="images" onSubmit={send}>
          <table>
            <thead>
              <tr>
                <th>File</th>
                <th>Pixel size (nm)</th>
                <th>Donor</th>
                <th>Group</th>
                <th>Split</th>
                <th />
              </tr>
            </thead>
            <tbody>
              <tr>
                <th>All files</th>
                <Fields of="all files" about={defaults.value} say={sayOfAll} />
                <td />
              </tr>
              {own.map(({ file, about }, index) => (
                <tr key={index}>
                  <td>
                    <input
                      required
                      maxLength={300}
                      aria-label={`Name of ${file.name}`}
                      value={about.name}
                      onInput={(event) => say((one) => one.file === file, { name: event.currentTarget.value })}
                    />{" "}
                    <span class="quiet">{bytesInWords(file.size)}</span>
                  </td>
                  <Fields of={file.name} about={about} say={(changes) => say((one) => one.file === file, changes)} />
                  <td>
                    <button
                      type="button"
                      class="plain"
                      aria-label={`Leave out ${file.name}`}
                      onClick={() => (chosen.value = chosen.value.filter((one) => one.file !== file))}
                    >
                      ×
                    </button>
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
          <p class="row">
            <button type="submit" class="primary">
              Upload {own.length === 1 ? "the file" : `${own.length} files`}
            </button>
            <span class="quiet">Without a pixel size, the one in the file counts.</span>
          </p>
        </form>
      )}
    </section>
  );
}

function Fields(props: { of: string; about: About; say: (changes: Partial<About>) => void }) {
  const { of, about, say } = props;
  return (
    <>
      <td>
        <input
          type="number"
          class="narrow"
          min={0.001}
          step="any"
          aria-label={`Pixel size of ${of} in nm`}
          value={about.pixel_nm}
          onInput={(event) => say({ pixel_nm: event.currentTarget.value })}
        />
      </td>
      {(["donor", "group"] as const).map((name) => (
        <td key={name}>
          <input
            class="narrow"
            maxLength={100}
            aria-label={`${name === "donor" ? "Donor" : "Group"} of ${of}`}
            value={about[name]}
            onInput={(event) => say({ [name]: event.currentTarget.value })}
          />
        </td>
      ))}
      <td>
        <select
          aria-label={`Split of ${of}`}
          value={about.split}
          onChange={(event) => say({ split: event.currentTarget.value as About["split"] })}
        >
          {SPLITS.map(([name, text]) => (
            <option key={name} value={name} title={text}>
              {name}
            </option>
          ))}
        </select>
      </td>
    </>
  );
}
