/** What is said of an image, as a form. */
import { useState } from "preact/hooks";
import type { Image, Schemas } from "../../api/client";
import { Dialog } from "../../widgets/Dialog";
import { edit } from "./ImageRow";

/** Changes name, pixel size, donor and group. */
export function EditImage(props: { image: Image; close: () => void; saved: () => void }) {
  const { image } = props;
  const [error, setError] = useState<Error | null>(null);

  async function submit(event: SubmitEvent) {
    event.preventDefault();
    const form = new FormData(event.currentTarget as HTMLFormElement);
    const text = (name: string) => String(form.get(name)).trim();
    const pixel = Number(text("pixel_nm"));
    const changes: Schemas["ImageEdit"] = { name: text("name"), donor: text("donor"), group: text("group") };
    // sent back unchanged, a size read from the file would count as stated
    if (pixel > 0 && pixel !== image.pixel_nm) changes.pixel_nm = pixel;
    try {
      await edit(image, changes);
      props.saved();
    } catch (problem) {
      setError(problem as Error);
    }
  }

  return (
    <Dialog title={image.name} close={props.close}>
      <form class="form" onSubmit={submit}>
        <label>
          Name
          <input name="name" required maxLength={300} defaultValue={image.name} />
        </label>
        <label>
          Pixel size in nm
          <input name="pixel_nm" type="number" min={0.001} step="any" defaultValue={image.pixel_nm ?? ""} />
        </label>
        <label>
          Donor, as a pseudonym
          <input name="donor" maxLength={100} defaultValue={image.donor ?? ""} />
        </label>
        <label>
          Group: block, grid or session
          <input name="group" maxLength={100} defaultValue={image.group ?? ""} />
        </label>
        {error && (
          <p role="alert" class="wrong">
            {error.message}
          </p>
        )}
        <button type="submit" class="primary">
          Save
        </button>
      </form>
    </Dialog>
  );
}
