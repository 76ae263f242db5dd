/** One image: its picture, what is known of it, and what may be changed. */
import { useState } from "preact/hooks";
import { api, basedOn, type Image, type Schemas } from "../../api/client";
import { complain, tell } from "../../shell/toasts";
import { confirm } from "../../widgets/confirm";
import { thumbnail } from "../../widgets/Whole";
import { EditImage } from "./EditImage";
import { bytesInWords, SOURCES, SPLITS, STATES } from "./words";

/** Change what is said of an image as it was read. */
export async function edit(image: Image, changes: Schemas["ImageEdit"]): Promise<void> {
  await api.PATCH("/api/v1/images/{image}", {
    params: { path: { image: image.id }, header: basedOn(image) },
    body: changes,
  });
}

/** A row of the list; `changed` reads the list again. */
export function ImageRow(props: { image: Image; manages: boolean; changed: () => Promise<void> }) {
  const { image, changed } = props;
  const [editing, setEditing] = useState(false);
  const manages = props.manages && image.state !== "deleted";

  async function act(work: () => Promise<unknown>) {
    try {
      await work();
    } catch (problem) {
      complain(problem);
    }
    await changed();
  }

  async function move(split: Image["split"]) {
    const text = `“${image.name}” leaves the test split never again: models are then reported on it, and learn nothing from it.`;
    if (split === "test" && !(await confirm("Keep the image for the test?", text, "Keep for the test"))) return;
    await act(() => edit(image, { split }));
  }

  async function remove() {
    const text = `“${image.name}” goes for good, with its masks and predictions. Models that learnt from it stay, and are marked.`;
    if (!(await confirm("Delete the image?", text, "Delete"))) return;
    await act(() => api.DELETE("/api/v1/images/{image}", { params: { path: { image: image.id } } }));
  }

  return (
    <tr>
      <td>{image.state === "ready" && <img class="tile" src={thumbnail(image)} alt="" loading="lazy" />}</td>
      <td>
        {image.name}
        <div class="quiet">
          {image.height !== null && `${image.width} × ${image.height} ${image.dtype}, `}
          {bytesInWords(image.bytes)}
        </div>
      </td>
      <td>
        <span class="state">{STATES[image.state]}</span>
        {image.error && <div class="wrong">{image.error}</div>}
      </td>
      <td>
        <select
          aria-label={`Split of ${image.name}`}
          title={SPLITS.find(([name]) => name === image.split)?.[1]}
          value={image.split}
          disabled={!manages || image.split === "test"}
          onChange={(event) => {
            const split = event.currentTarget.value as Image["split"];
            // the service may say no
            event.currentTarget.value = image.split;
            void move(split);
          }}
        >
          {SPLITS.map(([name, text]) => (
            <option key={name} value={name} title={text}>
              {name}
            </option>
          ))}
        </select>
      </td>
      <td>
        {image.pixel_nm !== null ? (
          <>
            {image.pixel_nm.toPrecision(4).replace(/\.?0+$/, "")} nm
            <div class="quiet">{SOURCES[image.pixel_source]}</div>
          </>
        ) : (
          image.state === "ready" && <PixelSize image={image} manages={manages} act={act} />
        )}
      </td>
      <td>
        {image.donor ?? "–"}
        <div class="quiet">{image.group}</div>
      </td>
      <td>
        <span class="row">
          {image.state !== "deleted" && (
            <a class="button" href={`/api/v1/images/${image.id}/original`} download={image.name}>
              Download
            </a>
          )}
          {manages && (
            <>
              <button type="button" aria-label={`Edit ${image.name}`} onClick={() => setEditing(true)}>
                Edit
              </button>
              <button type="button" class="danger" aria-label={`Delete ${image.name}`} onClick={remove}>
                Delete
              </button>
            </>
          )}
        </span>
        {editing && (
          <EditImage
            image={image}
            close={() => setEditing(false)}
            saved={() => {
              setEditing(false);
              tell(`Saved what is said of ${image.name}.`);
              void changed();
            }}
          />
        )}
      </td>
    </tr>
  );
}

function PixelSize(props: { image: Image; manages: boolean; act: (work: () => Promise<unknown>) => Promise<void> }) {
  const { image, act } = props;
  if (!props.manages) return <span class="warn">unknown</span>;
  return (
    <form
      class="row"
      onSubmit={(event) => {
        event.preventDefault();
        const pixel_nm = Number(new FormData(event.currentTarget).get("pixel_nm"));
        void act(() => edit(image, { pixel_nm }));
      }}
    >
      <input
        name="pixel_nm"
        type="number"
        min={0.001}
        step="any"
        required
        class="narrow"
        placeholder="nm?"
        aria-label={`Pixel size of ${image.name} in nm, unknown so far`}
      />
      <button type="submit">Set</button>
    </form>
  );
}
